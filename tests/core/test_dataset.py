"""The first folder below the dataset is the username, and what is no photo is left out."""

import os
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.dataset import is_ignored_file, is_ignored_folder, locate, username_fault, username_of
from core.model.files import Place

USERNAME = re.compile(r"(?!\.)(?!.*\.\.)[a-z0-9._]{1,30}(?<!\.)")
NAMES = st.binary(min_size=1, max_size=255).filter(lambda name: not {0, ord("/")} & set(name))

ODD_NAMES = [
    b"\xff\xfe\x80.jpg",
    b"two\nlines.jpg",
    b"'quotes\" and spaces.jpg",
    "😀.jpg".encode(),
    unicodedata.normalize("NFC", "café.jpg").encode(),
    unicodedata.normalize("NFD", "café.jpg").encode(),
    b"x" * 251 + b".jpg",
    b"no extension",
    b"-rf",
    b"%s %d.jpg",
]
USERNAMES = [b"abc", b"a", b"a" * 30, b"a.b_c.9", b"_", b"__x__", b"0123", b"id", b"readme.md"]
NO_USERNAMES = [b"", b".a", b"a.", b"a..b", b"a" * 31, b"a b", b"a-b", b"@a", b"\xc3\xa9", b"a\n", b"..", b"#recycle"]
IGNORED_FILES = [
    *[b".hidden.jpg", b".DS_Store", b"._photo.jpg", b".photo.jpg.Xa81bQ", b"Thumbs.db", b"THUMBS.DB", b"desktop.ini"],
    *[b"photo.jpg.part", b"photo.jpg.crdownload", b"photo.tmp", b"photo.jpg~", b"PHOTO.JPG.PART"],
    *[b"post.json", b"post.json.xz", b"post.txt", b"id", b"clip.mp4", b"clip.MOV", b"clip.webm"],
]
IGNORED_FOLDERS = [b".trash", b"@eaDir", b"__MACOSX", b"#recycle", b"lost+found", b":tagged", b"@EADIR"]


def test_the_first_folder_is_the_username():
    """A photo belongs to the folder below the dataset, at whatever depth it lies."""
    paths = [b"abc/photo.jpg", b"abc/2024/05/photo.jpg"]

    assert [locate(path) for path in paths] == [Place("abc", path) for path in paths]


def test_case_does_not_make_another_user():
    """Folders Abc and abc are one user, and each path stays as the disk has it."""
    places = [locate(b"Abc/1.jpg"), locate(b"abc/1.jpg")]

    assert places == [Place("abc", b"Abc/1.jpg"), Place("abc", b"abc/1.jpg")]


@pytest.mark.parametrize("path", [b"photo.jpg", b"", b"abc"])
def test_a_file_beside_the_users_belongs_to_nobody(path):
    """A file that lies in no user's folder has no place."""
    assert locate(path) is None


@pytest.mark.parametrize("folder", USERNAMES)
def test_usernames_are_taken(folder):
    """Letters, digits, dots and underscores up to 30 make a username."""
    assert username_fault(folder) is None
    assert locate(folder + b"/1.jpg") == Place(folder.decode(), folder + b"/1.jpg")


@pytest.mark.parametrize("folder", NO_USERNAMES)
def test_other_folders_are_no_usernames(folder):
    """A folder whose name Instagram would not allow is left out, with the reason."""
    assert username_fault(folder)
    assert locate(folder + b"/1.jpg") is None


@given(NAMES)
def test_a_folder_is_a_username_exactly_by_instagrams_rule(folder):
    """The rule is the one Instagram has, for every name that a disk can hold."""
    is_username = bool(USERNAME.fullmatch(folder.lower().decode("latin-1")))

    assert (username_fault(folder) is None) == is_username
    assert not is_username or username_of(folder) == folder.lower().decode()


@pytest.mark.parametrize("name", IGNORED_FILES)
@pytest.mark.parametrize("folder", [b"abc/", b"abc/2024/"])
def test_what_lies_beside_photos_is_ignored(folder, name):
    """Hidden, unfinished and system files, sidecars and videos are left out at every depth."""
    assert is_ignored_file(name)
    assert locate(folder + name) is None


@pytest.mark.parametrize("name", IGNORED_FOLDERS)
def test_what_lies_in_a_systems_folder_is_ignored(name):
    """Bins, a NAS's thumbnails, and other people's posts are left out at every depth."""
    assert is_ignored_folder(name)
    assert locate(name + b"/1.jpg") is None
    assert locate(b"abc/" + name + b"/1.jpg") is None
    assert locate(b"abc/2024/" + name + b"/features/1.jpg") is None


@pytest.mark.parametrize("name", [b"photo.part.jpg", b"ids", b"tmp", b"json", b"my.txt.png", b"mp4", b"idea.jpg"])
def test_a_name_that_only_looks_alike_is_a_photo(name):
    """A name is left out for its end, not for a word in it."""
    assert locate(b"abc/" + name) == Place("abc", b"abc/" + name)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_round_trip(tmp_path, name):
    """A name comes back from the disk, through its place and its text, byte for byte."""
    folder = bytes(tmp_path) + b"/abc"
    os.mkdir(folder)
    os.close(os.open(folder + b"/" + name, os.O_CREAT))

    places = [locate(b"abc/" + found) for found in os.listdir(folder)]

    assert [os.fsencode(str(place)) for place in places] == [b"abc/" + name]


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_every_path_has_a_place_or_none(names):
    """A path is taken as it is, or left out: no name raises or changes."""
    path = b"/".join([b"abc", *names])

    place = locate(path)

    assert place is None or (place.username, place.path) == ("abc", path)
