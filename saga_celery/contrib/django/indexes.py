"""An index that Django has no word for on all databases."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.backends.ddl_references import Statement


class IndexOfValues(models.Index):
    """An index without the rows whose last column is NULL, where the database can leave them out.

    `Index(condition=…)` does that, but where the database can not it makes no index at all, and warns of it.
    """

    def create_sql(self, model: Any, schema_editor: Any, using: str = "", **kwargs: Any) -> Statement:
        """The statement that makes it."""
        statement = super().create_sql(model, schema_editor, using=using, **kwargs)
        if schema_editor.connection.features.supports_partial_indexes:
            column = model._meta.get_field(self.fields[-1]).column
            statement.parts["condition"] = f" WHERE {schema_editor.quote_name(column)} IS NOT NULL"
        return statement
