"""Puts the sandbox together: ports, vendors, control plane. Also for tests that want it inside their own process."""

from collections.abc import Iterable, Mapping
from typing import Any, Self
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from sandbox.kit.control import ROOT, create_control
from sandbox.kit.server import Port
from sandbox.kit.settings import DEFAULTS
from sandbox.kit.vendor import Kit, OpenVendor, Vendor
from sandbox.pages.site import create_pages

PORTS = ("control", "kommo", "drive", "xero")


class Sandbox:
    """Bound when made, answering from `start` to `stop`. Port 0 is any free one."""

    def __init__(
        self,
        open_vendors: list[OpenVendor],
        *,
        seed: str = "demo",
        numbers: Mapping[str, int] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.kit = Kit()
        self._ports = {name: Port((numbers or {}).get(name, 0)) for name in PORTS}
        self.kit.urls |= {name: port.url for name, port in self._ports.items()}
        given = dict(settings or {})
        # the time factor counts from the first token on; a vendor's own settings are known only when it is open
        self.kit.settings.keep({name: given.pop(name) for name in list(given) if name in DEFAULTS})
        self.vendors: list[Vendor] = [open_vendor(self.kit, seed) for open_vendor in open_vendors]
        self.kit.settings.keep(given)
        self.ready: dict[str, Any] = {f"{name}_url": url for name, url in self.kit.urls.items()}
        for vendor in self.vendors:
            self.ready |= vendor.ready()

    def start(self) -> Self:
        apps = {name: app for vendor in self.vendors for name, app in vendor.ports.items()}
        control = create_control(self.kit, self.vendors, self.ready)
        self._ports["control"].start(beside(ROOT, control, create_pages(self.kit, self.vendors, self.ready)))
        for name, app in apps.items():
            self._ports[name].start(app)
        return self

    def stop(self) -> None:
        self.kit.faults.reset()
        for port in self._ports.values():
            port.stop()
        for vendor in self.vendors:
            vendor.stop()
        self.kit.hooks.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()


def beside(root: str, control: WSGIApplication, pages: WSGIApplication) -> WSGIApplication:
    """One port for the control plane, which is all below `root`, and for the pages."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        app = control if f"{environ['PATH_INFO']}/".startswith(f"{root}/") else pages
        return app(environ, start_response)

    return answer
