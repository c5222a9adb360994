from contextlib import contextmanager

from flask import Flask
from flask_sio import SocketIO
from opentelemetry import trace

app = Flask(__name__)
socketio = SocketIO(app)
tracer = trace.get_tracer("chat")


@socketio.around_event
@contextmanager
def event_span(run):
    request = trace.get_current_span().get_span_context()  # of the handshake, long over
    with tracer.start_as_current_span(
        f"{run.namespace} {run.name}",
        trace.set_span_in_context(trace.INVALID_SPAN),  # each event is a trace of its own
        trace.SpanKind.SERVER,
        {"socketio.namespace": run.namespace, "socketio.event": run.name, "socketio.sid": run.sid},
        [trace.Link(request)] if request.is_valid else [],
    ) as span:
        try:
            yield  # an exception that nobody handles is recorded on its way
        finally:
            span.set_attribute("socketio.outcome", run.outcome)
            if run.outcome == "handled":
                span.record_exception(run.error)


@socketio.on("add")
def add(a, b):
    with tracer.start_as_current_span("adding"):
        return a + b


@socketio.errorhandler(TypeError)
def wrong_types(error):
    return "numbers, please"
