import pytest

from flyte_host.embedded.criteria import parse_bool


@pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True"])
def test_parse_bool_true(text: str) -> None:
    assert parse_bool(text) is True


@pytest.mark.parametrize("text", ["0", "f", "F", "FALSE", "false", "False"])
def test_parse_bool_false(text: str) -> None:
    assert parse_bool(text) is False


@pytest.mark.parametrize("text", ["", " True", "True\n", "yes", "tRUE", "1.000000", "x" * 300])
def test_parse_bool_refuses_everything_else_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not a bool: expected 1, t, T") as caught:
        parse_bool(text)
    assert str(caught.value).startswith(repr(text[:200])[:-1])
