"""The page and its HTTP API: addresses come in, JSON, files and the page's own HTML, CSS and JavaScript go out.

Import `server.make_app` and `serve`.
"""
