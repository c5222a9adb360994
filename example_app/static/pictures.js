// Pictures before they are sent: the kinds we take, made smaller where they are too large.

const KINDS = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const STEPS = [
  [1600, 0.85],
  [1280, 0.8],
  [1000, 0.7],
];

// Return {bytes, kind} of at most `limit` bytes, or throw an Error that tells the person why not.
export async function prepare(file, limit) {
  if (!KINDS.includes(file.type)) throw new Error("Pictures are PNG, JPEG, GIF or WebP files.");
  if (file.size <= limit) return { bytes: await file.arrayBuffer(), kind: file.type };
  // Drawing a GIF would keep only its first frame.
  const smaller = file.type === "image/gif" ? null : await shrink(file, limit);
  if (!smaller) {
    const size = Math.ceil(file.size / 1000).toLocaleString();
    throw new Error(`The picture is too large: ${size} kB, the limit is ${Math.floor(limit / 1000)} kB.`);
  }
  return { bytes: await smaller.arrayBuffer(), kind: smaller.type };
}

async function shrink(file, limit) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error("This picture cannot be read.");
  });
  try {
    for (const [side, quality] of STEPS) {
      const blob = await draw(bitmap, side, quality);
      if (blob && blob.size <= limit) return blob;
    }
  } finally {
    bitmap.close();
  }
  return null;
}

function draw(bitmap, side, quality) {
  const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // JPEG has no transparency
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality));
}

// Take pictures from the file button, the clipboard and a drop.
export function accept(input, textarea, target, onFile) {
  input.addEventListener("change", () => {
    for (const file of input.files) onFile(file);
    input.value = "";
  });
  textarea.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (!files.length) return;
    event.preventDefault();
    files.forEach(onFile);
  });
  const dragging = (event, on) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    target.classList.toggle("dropping", on);
  };
  target.addEventListener("dragover", (event) => dragging(event, true));
  target.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) dragging(event, false);
  });
  target.addEventListener("drop", (event) => {
    dragging(event, false);
    [...(event.dataTransfer?.files ?? [])].forEach(onFile);
  });
}

// The dialog that shows one picture in full.
export function viewer(dialog) {
  const picture = dialog.querySelector("img");
  dialog.addEventListener("click", (event) => {
    if (event.target !== picture) dialog.close();
  });
  dialog.addEventListener("close", () => picture.removeAttribute("src"));
  return (source, text) => {
    picture.src = source;
    picture.alt = text;
    dialog.showModal();
  };
}
