"""Exit codes and messages of commands."""
import pytest

from object_detection.utils import errors


def ends(main, capsys):
    with pytest.raises(SystemExit) as end:
        errors.run_main(main)
    return end.value.code, capsys.readouterr().err


def test_a_package_that_is_not_installed(capsys):
    def main(argv):
        import package_that_nobody_has  # noqa: F401
    code, said = ends(main, capsys)
    assert code == 1 and "(No module named 'package_that_nobody_has')" in said and 'make setup' in said


def test_a_missing_module_of_this_package_is_a_bug():
    def main(argv):
        import object_detection.utils.nothing_like_it  # noqa: F401
    with pytest.raises(ModuleNotFoundError):
        errors.run_main(main)


def test_all_findings_are_printed(capsys):
    def main(argv):
        raise errors.UserError(['one', 'two'])
    assert ends(main, capsys) == (1, 'error: one\nerror: two\n')
