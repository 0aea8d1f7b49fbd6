"""What is told of sagas to people, for every surface alike: the command line and web pages.

One saga at one moment is a `case`; `saga_record` and `row_record` make JSON of it,
`sentences` and `words` make English.
"""
