"""The forms, each with a token against cross-site request forgery."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import IntegerField, PasswordField, SelectField, StringField, SubmitField
from wtforms.validators import DataRequired, Length, NumberRange, Optional, Regexp

MOST_TRAVELLERS = 9


class BookingForm(FlaskForm):
    """A trip, who goes, and what pays for it."""

    destination = SelectField("Destination", coerce=int)
    traveller = StringField("Your name", validators=[DataRequired(), Length(max=100)])
    travellers = IntegerField("Travellers", default=1, validators=[DataRequired(), NumberRange(1, MOST_TRAVELLERS)])
    card = StringField(
        "Card number",
        validators=[DataRequired(), Regexp(r"^[\d ]{12,23}$", message="A card number has 12 to 19 digits.")],
        render_kw={"inputmode": "numeric", "autocomplete": "off"},
    )
    voucher = StringField("Lounge voucher, if you have one", validators=[Optional(), Length(max=20)])
    submit = SubmitField("Book this trip")


class DecisionForm(FlaskForm):
    """Two buttons; which one was pressed is the decision."""

    approve = SubmitField("Approve")
    reject = SubmitField("Reject")


class LoginForm(FlaskForm):
    """For the agency's staff."""

    name = StringField("Name", validators=[DataRequired(), Length(max=40)], render_kw={"autocomplete": "username"})
    password = PasswordField("Password", validators=[DataRequired()], render_kw={"autocomplete": "current-password"})
    submit = SubmitField("Log in")
