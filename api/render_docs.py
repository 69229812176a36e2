"""Turns the description of the surface into reference pages: Markdown and man."""


def write_docs(api, folder):
    raise SystemExit("not there yet")
