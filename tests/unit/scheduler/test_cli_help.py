from importlib.metadata import entry_points

from scheduler import cli


def test_every_command_of_other_packages_says_what_it_does() -> None:
    names = set(entry_points(group=cli.GROUP).names)
    assert names <= cli._FOREIGN_HELP.keys()
