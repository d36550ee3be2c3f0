"""What goes wrong in a template, in words for its writer."""


class TemplateFault(ValueError):
    """A template asked for something that cannot be done; the text says what."""

    def at_line(self, line: int) -> "TemplateFault":
        """Say where in the template this happened."""
        return TemplateFault(f"line {line}: {self}")


class TemplateSyntaxFault(TemplateFault):
    """A template that cannot be read, and the line where that shows."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class PatternFault(TemplateFault):
    """A regular expression that RE2 refuses; the text says why."""
