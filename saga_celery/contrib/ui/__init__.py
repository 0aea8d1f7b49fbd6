"""The console as a page of its own: `saga ui`, for who has neither Flower nor a web app to mount it in.

The Flask blueprint over waitress: `command` reads the command line, `logins` knows who may come in, `hosts` under which
names the page answers, `application` puts them in front of the blueprint, `serving` runs it. Only `application` and
`serving` need the extra `ui`, and neither is imported before the command runs.
"""
