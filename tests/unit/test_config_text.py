"""What YAML would read as something else, or not at all, is told with its line."""

import contextlib
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from volume_entropy.config import load_config
from volume_entropy.config_text import check_config_files, nested, read_config, with_types
from volume_entropy.errors import ConfigError

SCHEMA = Path(__file__).parents[2] / "workflow/schemas/config.schema.yaml"
PRESETS = SCHEMA.parents[1] / "presets"


def refused(path):
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    return str(caught.value)


@pytest.fixture
def config(tmp_path):
    def write(content):
        path = tmp_path / "config.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("probabilities:\n\tmembers: 5\n", ["line 2: found a tab, expected blanks"]),
        ("probabilities:\n  kind: softmax\n \tmembers: 5\n", ["line 3: found a tab"]),
        ("probabilities:\n  members:\t5\n", ["line 2: found a tab"]),
        ("preset: fast\nentropy: {unit: nat\n", ["line 2: this is no YAML"]),
        ("group: 'a\n", ["line 1: this is no YAML"]),
        ("samples: a: b\n", ["line 1", "A text with a colon needs quotes"]),
        ("probabilities:\n  members: 5\n kind: regions\n", ["line 3", "Keys of one group begin in the same column"]),
        ("- a\n- b\n", ["found a list at the top"]),
        ("just text\n", ["found the text 'just text' at the top"]),
        ("", ["has no keys"]),
        ("# preset: fast\n", ["has no keys"]),
        ("a: 1\n---\nb: 2\n", ["line 2: found a second document"]),
        ("group: *x\n", ["line 1: this is no YAML: found undefined alias"]),
        ("group: !!python/name:os.system\n", ["line 1: this is no YAML"]),
        ("group: 2024-13-45\n", ["this is no YAML", "quotes"]),
        ("a: &x [*x]\n", ["this is no YAML"]),
        ("[" * 4000, ["this is no YAML"]),
        ("group: caf\xe9\n".encode("latin-1"), ["line 1: found the byte 0xE9"]),
        ("group: site\n".encode("utf-16"), ["UTF-16"]),
        (b"a: 1\ngroup: s\0\n", ["line 2: found a NUL"]),
        (
            "entropy: {unit: nat}\nprobabilities: {members: 5}\nentropy: {threshold: 1}\n",
            ["line 3: entropy stands twice, first on line 1"],
        ),
        ("entropy:\n  unit: nat\n  unit: bit\n", ["line 3: entropy.unit stands twice, first on line 2"]),
        ('{"group": "a",\n "group": "b"}', ["line 2: group stands twice"]),
        ("reference:\n  labels: {no: 1}\n", ["line 2: below reference.labels, the key no is no text", '"no"']),
        ("reference: {labels: {3: 1}}\n", ["line 1: below reference.labels, the key 3 is no text"]),
    ],
)
def test_what_is_no_config_is_refused_with_its_line(config, content, words):
    message = refused(path := config(content))
    assert str(path) in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("written", "read"), [("01", 1), ("010", 8), ("007", 7), ("1_000", 1000), ("1:30", 90), ("0x1F", 31), ("0b11", 3)]
)
@pytest.mark.parametrize("place", ["tokens: [{}, b]", "members: [{}]", "members: {}", "classes: [a, {}]"])
def test_a_number_that_is_written_as_none_is_refused_with_what_yaml_reads(config, written, read, place):
    message = refused(config(f"preset: fast\nprobabilities:\n  {place.format(written)}\n"))
    key = place.partition(":")[0]
    assert f"line 3: probabilities.{key}: YAML reads {written} as the number {read}; write" in message
    assert f'"{written}" in quotes' in message


def test_the_remedy_gives_the_text(config):
    assert read_config(config('probabilities: {tokens: ["01", 08, 1, -1, 10]}\n')) == {
        "probabilities": {"tokens": ["01", "08", 1, -1, 10]}
    }


@pytest.mark.parametrize(
    "content",
    [
        '{\n\t"probabilities": {"members": 5}\n}',
        "\ufeffprobabilities: {members: 5}\n",
        "probabilities:\r\n  members: 5\r\n",
        "probabilities: {members: +5}",
    ],
)
def test_what_is_a_config_is_read_whatever_program_wrote_it(config, content):
    assert read_config(config(content)) == {"probabilities": {"members": 5}}


KEYS = st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True).filter(
    lambda key: key not in ("no", "on", "yes", "off", "true", "false", "null")
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
)


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4))
def test_every_config_that_yaml_writes_is_read_as_yaml_reads_it(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "written.yaml"
    text = yaml.safe_dump(content, allow_unicode=True)
    path.write_text(text, encoding="utf-8", newline="")
    # Not the content itself: PyYAML writes the character NEL so that it reads a blank.
    assert read_config(path) == yaml.safe_load(text)


PIECES = st.sampled_from(
    [
        *"\t\n\r :-,#&*!|>%@`'\"{}[]?~é\0\ufeff<",
        *("\n  ", ": ", "- ", "01", "no", "1:30", "2024-13-01", "<<: ", "&a ", "*a", "!!set ", "...", "---", ".nan"),
        *("probabilities", "members", "classes", "group", "results", "null", "\x85", "\u2028"),
    ]
)


@given(st.one_of(st.binary(), st.lists(PIECES, max_size=30).map(lambda parts: "".join(parts).encode())))
@settings(max_examples=80)
def test_whatever_stands_in_the_file_is_loaded_or_refused_in_words(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    with contextlib.suppress(ConfigError):
        load_config(read_config(path), SCHEMA, PRESETS)


@given(st.text(st.sampled_from("ab.=:{}[],'\" 01-#&*!\t\n")))
def test_whatever_stands_on_the_command_line_is_loaded_or_refused_in_words(entry):
    with contextlib.suppress(ConfigError):
        load_config(with_types({}, [nested(entry)]), SCHEMA, PRESETS)


SETTINGS = yaml.safe_load(SCHEMA.read_text())["properties"]


@given(st.data())
@settings(max_examples=80)
def test_whatever_a_key_is_given_is_loaded_or_refused_in_words(data):
    key = data.draw(st.sampled_from(sorted(SETTINGS)))
    value = data.draw(VALUES)
    inner = SETTINGS[key].get("properties")
    if inner:
        value = {data.draw(st.sampled_from(sorted(inner))): value}
    with contextlib.suppress(ConfigError):
        load_config({key: value}, SCHEMA, PRESETS)


@given(st.lists(KEYS, min_size=2, max_size=4), VALUES)
def test_a_dotted_key_is_the_group_that_it_names(keys, value):
    entry = f"{'.'.join(keys)}={json.dumps(value)}"
    expected = yaml.safe_load(json.dumps(value))
    for key in reversed(keys):
        expected = {key: expected}
    assert with_types({}, [nested(entry)]) == expected


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("entropy.unit=nat", {"entropy": {"unit": "nat"}}),
        ("probabilities.members=5", {"probabilities": {"members": 5}}),
        ("probabilities.members=[a, b]", {"probabilities": {"members": ["a", "b"]}}),
        ("discover.root=/data/a, b} {c", {"discover": {"root": "/data/a, b} {c"}}),
        ("discover.root=", {"discover": {"root": None}}),
        ("discover.root=x=y", {"discover": {"root": "x=y"}}),
        ("storage.keep_probabilities=true", {"storage": {"keep_probabilities": True}}),
        ("group=a.b", {"group": "a.b"}),
        ("probabilities={'members': 5, 'tokens': None}", {"probabilities": {"members": 5, "tokens": None}}),
    ],
)
def test_the_command_line_has_the_types_of_yaml(entry, expected):
    assert with_types({}, [nested(entry)]) == expected


def test_the_command_line_stands_above_the_files_and_leaves_the_rest():
    merged = {"entropy": {"unit": "nat", "threshold": "0.3"}, "group": "site"}
    typed = with_types(merged, ["entropy={threshold: 0.3}"])
    assert typed == {"entropy": {"unit": "nat", "threshold": 0.3}, "group": "site"}
    with pytest.raises(ConfigError, match=r"(?s)--config .*YAML reads 01 as the number 1"):
        with_types({}, [nested("probabilities.tokens=[01, 02]")])


@pytest.mark.parametrize(
    "name",
    [
        "config/config.yml",
        "config/Config.yaml",
        "config.yaml",
        "config/config.yaml.txt",
        "config/config.json",
        "config/CONFIG.YAML",
    ],
)
def test_a_config_under_another_name_is_named(tmp_path, name):
    (tmp_path / "config").mkdir()
    (tmp_path / name).touch()
    with pytest.raises(ConfigError) as caught:
        check_config_files(tmp_path, [])
    assert f"There is {name}: rename it to config/config.yaml" in str(caught.value)


def test_without_any_config_it_is_said_which_file_is_expected_where(tmp_path):
    with pytest.raises(ConfigError) as caught:
        check_config_files(tmp_path, [])
    assert f"{tmp_path}/config/config.yaml does not exist" in str(caught.value)
    assert "To begin" in str(caught.value)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").touch()
    with pytest.raises(ConfigError, match="has no keys"):
        check_config_files(tmp_path, [])
    with pytest.raises(ConfigError, match="the folder that holds config/"):
        check_config_files(tmp_path / "config", [])


def test_a_config_from_the_command_line_takes_the_place_of_a_missing_one(tmp_path):
    (tmp_path / "mine.yaml").write_text("preset: fast\n")
    check_config_files(tmp_path, [tmp_path / "mine.yaml"])
    (tmp_path / "mine.yaml").write_text("preset: fast\npreset: spm\n")
    with pytest.raises(ConfigError, match="preset stands twice"):
        check_config_files(tmp_path, [tmp_path / "mine.yaml"])
