"""Twenty viewers ask a server no more than one does; `python -m tests.console.viewers` measures it for minutes."""

import http.server
import threading

import pytest

from tests.console.viewers import viewers
from tests.support.ports import free_port
from tests.support.waiting import eventually

VIEWERS = 20
LOOKS = 3


@pytest.fixture
def page_of_counts():
    """A Prometheus page that counts how often it is asked for."""
    asked = []

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = b':tensorflow:serving:request_count{model_name="m",status="OK"} %d\n' % len(asked)
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/metrics", asked
        server.shutdown()


def test_one_look_for_all(start_console, repository, embedded, page_of_counts):
    url, asked = page_of_counts
    console = start_console(str(repository), "--server", embedded.grpc_address, "--metrics-url", url)
    with viewers(console, VIEWERS) as opened:
        eventually(lambda: all(one.events for one in opened), 20, "the first event of every viewer")
        before = len(asked)
        eventually(lambda: len(asked) >= before + LOOKS, 30, "some looks")
        assert len(asked) <= before + LOOKS + 1
    assert console.ask("GET", "/").status == 200


def test_there_is_room_for_so_many_and_no_more(start_console, tmp_path):
    from modelport_console.live.feed import MOST_VIEWERS

    (tmp_path / "models").mkdir()
    console = start_console(str(tmp_path / "models"), "--server", f"localhost:{free_port()}")
    with viewers(console, MOST_VIEWERS):
        answer = console.ask("GET", "/live")
        assert answer.status == 503
        assert "close some" in answer.json()["error"]
    eventually(lambda: _again(console), 20, "room again")


def _again(console) -> bool:
    answer = console.ask("GET", "/live", preload_content=False)
    status = answer.status
    answer.close()
    return status == 200
