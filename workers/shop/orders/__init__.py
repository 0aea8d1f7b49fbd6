"""Orders: the form, the page that shows the saga, and the tasks that do its steps."""
