"""Reading the machine: memory, and answers as they come in."""

from tests.benchmarks import load, memory


def test_the_proportional_share_is_read():
    assert (
        memory.pss_of("55d0-7ffe ---p 00000000 00:00 0 [rollup]\nRss:  900 kB\nPss:   45 kB\nPss_Dirty:  7 kB\n")
        == 45 * 1024
    )


def test_a_process_without_memory_has_none():
    assert memory.pss_of("") == 0


def test_the_session_is_found_behind_any_name():
    assert memory.session_of("12 (celery) worker) S 1 12 99 0 -1") == 99


def test_processes_are_found_by_their_session(tmp_path):
    for pid, session in ((10, 10), (11, 10), (12, 12)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (python) S 1 {pid} {session} 0 -1")
        (tmp_path / str(pid) / "smaps_rollup").write_text(f"Pss:   {pid} kB\n")
    found = memory.processes({10: "web"}, tmp_path)
    assert [(one.part, one.pid, one.leads, one.pss) for one in found] == [
        ("web", 10, True, 10240),
        ("web", 11, False, 11264),
    ]


def test_a_request_is_whole():
    sent = load.request("http://127.0.0.1:80/webhooks/kommo/secret", b"leads=1")
    assert sent.startswith(b"POST /webhooks/kommo/secret HTTP/1.1\r\nHost: 127.0.0.1:80\r\n")
    assert sent.endswith(b"Content-Length: 7\r\n\r\nleads=1")


def test_an_answer_is_whole_with_its_body():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    assert load.whole_answer(head[:-1]) is None
    assert load.whole_answer(head + b"o") is None
    assert load.whole_answer(head + b"ok") == load.Answer(200, closes=False)


def test_an_answer_says_whether_the_connection_ends():
    assert load.whole_answer(b"HTTP/1.1 503 X\r\nConnection: close\r\n\r\n") == load.Answer(503, closes=True)
