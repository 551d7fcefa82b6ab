"""What is told to the person who asked."""


class UserError(Exception):
    """It cannot be done; the text is a sentence for the person who asked, whoever they are."""
