"""Bracket forms: what is in them comes out, in any order and notation, and nothing at all breaks the reading."""

import time
from urllib.parse import quote_plus

from hypothesis import given
from hypothesis import strategies as st

from webhooks.decode import MOST_PAIRS, Tree, branch, branches, decode, leaf

# PHP knows no name with a bracket in it, and no empty one at the front
NAMES = st.text(st.characters(exclude_characters="[]", codec="utf-8"), min_size=1, max_size=8)
TREES = st.recursive(
    st.dictionaries(NAMES, st.text(st.characters(codec="utf-8"), max_size=12), min_size=1, max_size=4),
    lambda under: st.dictionaries(NAMES, under, min_size=1, max_size=4),
    max_leaves=12,
)


def pairs_of(tree: "Tree | str", path: str = "") -> list[tuple[str, str]]:
    """The pairs that a tree is sent as."""
    if isinstance(tree, str):
        return [(path, tree)]
    steps = ((f"{path}[{name}]" if path else name, under) for name, under in tree.items())
    return [pair for step, under in steps for pair in pairs_of(under, step)]


def encoded(pairs: list[tuple[str, str]]) -> bytes:
    return "&".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in pairs).encode()


@given(TREES, st.randoms(use_true_random=False))
def test_what_was_sent_comes_out_whatever_the_order_of_its_pairs(tree, random):
    pairs = pairs_of(tree)
    random.shuffle(pairs)
    assert decode(encoded(pairs)).tree == tree


@given(st.binary(max_size=300))
def test_any_bytes_give_a_tree(body):
    decode(body)


@given(st.text(alphabet="a[]=&%5BDb+0", max_size=200))
def test_anything_that_looks_like_a_form_gives_a_tree(text):
    decode(text.encode())


def test_brackets_may_be_encoded_or_not():
    assert decode(b"leads%5Badd%5D%5B0%5D%5Bid%5D=7").tree == decode(b"leads[add][0][id]=7").tree


def test_a_plus_is_a_space_and_bytes_that_are_no_text_are_replaced():
    assert decode(b"name=Order+77%20%C3%A9&odd=%ff\xfe").tree == {"name": "Order 77 é", "odd": "��"}


def test_the_later_of_two_values_holds():
    assert decode(b"a[b]=1&a[b]=2").tree == {"a": {"b": "2"}}


def test_empty_brackets_count_up():
    assert decode(b"a[]=x&a[]=y&a[][z]=1").tree == {"a": {"0": "x", "1": "y", "2": {"z": "1"}}}


def test_a_tree_is_worth_more_than_a_text_in_its_place_in_either_order():
    assert decode(b"a=1&a[b]=2").tree == decode(b"a[b]=2&a=1").tree == {"a": {"b": "2"}}


def test_a_key_without_a_name_is_left_out():
    assert decode(b"&&=1&[x]=2&[=3").tree == {}


def test_an_open_bracket_ends_the_key():
    assert decode(b"a[b][c=1").tree == {"a": {"b": "1"}}


def test_a_key_that_is_too_deep_is_left_out_and_told():
    form = decode(b"a" + b"[b]" * 40 + b"=1&c=2")
    assert form.tree == {"c": "2"}
    assert form.problem == "a key with more than 16 steps was not read"


def test_pairs_beyond_the_limit_are_left_out_and_told():
    form = decode(b"&".join(b"k%d=1" % number for number in range(MOST_PAIRS + 5)))
    assert len(form.tree) == MOST_PAIRS
    assert form.problem == "more than 50000 pairs: the rest was not read"


def test_no_megabyte_takes_long_to_read():
    lists = b"&".join([b"a[%d]=1" % number for number in range(30_000, 55_000)] + [b"a[]=1"] * 25_000)
    for body in (
        lists,
        b"a[]=1&" * 170_000,
        b"[" * 1_000_000,
        b"a" + b"[]" * 500_000,
        b"%41" * 330_000,
        b"&" * 1_000_000,
    ):
        begun = time.thread_time()  # on a machine that is busy with other tests, the clock on the wall says nothing
        decode(body)
        assert time.thread_time() - begun < 1.0


def test_a_tree_is_asked_without_minding_what_stands_there():
    tree = decode(b"a[0][id]=7&a[1]=x&b=1").tree
    assert branches(tree["a"]) == [{"id": "7"}]
    assert branches(tree["b"]) == []
    assert branch(tree, "b") == branch(tree, "c") == {}
    assert leaf(tree, "a") == leaf(tree, "c") == ""
    assert leaf(tree, "b") == "1"
