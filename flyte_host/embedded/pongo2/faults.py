"""What goes wrong in a template, in words for its writer."""


class TemplateFault(ValueError):
    """A template asked for something that cannot be done; the text says what."""


class TemplateSyntaxFault(TemplateFault):
    """A template that cannot be read, and the line where that shows."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line
