"""The matrix's application in a Django project."""
