"""What is told to the person who asked."""


class UserError(Exception):
    """It cannot be done; the text is a sentence for the person who asked, whoever they are."""


class TooManyRequests(UserError):
    """Others come first, or the visitor has too much waiting; asking again later helps."""
