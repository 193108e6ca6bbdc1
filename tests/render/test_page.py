"""The page of the computation view in a real browser, headless: it pans, zooms, finds names and shows tooltips."""

import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest

import poplar_py as pp

BROWSER = next((b for b in ("chromium", "chromium-browser", "google-chrome") if shutil.which(b)), "")
needs_browser = pytest.mark.skipif(not BROWSER, reason="no Chromium here: apt-get install chromium")

# what a person does, with the events a browser makes; the state after each step is kept
SCRIPT = """
<script>
const steps = [], view = document.getElementById("view"), find = document.getElementById("find");
const keep = name => steps.push([name, poplar.state()]);
const at = (kind, x, y, more) => view.dispatchEvent(new (kind === "wheel" ? WheelEvent : PointerEvent)(kind, Object.assign(
  { clientX: x, clientY: y, pointerId: 1, bubbles: true, cancelable: true }, more)));
view.setPointerCapture = () => {};
const later = (milliseconds, action) => new Promise(done => setTimeout(() => { action(); done(); }, milliseconds));
(async () => {
  await later(600, () => keep("start"));
  await later(50, () => { at("pointerdown", 400, 300); at("pointermove", 460, 340); at("pointerup", 460, 340); keep("pan"); });
  await later(50, () => { at("wheel", 500, 300, { deltaY: -900 }); keep("zoom"); });
  await later(50, () => { find.value = "conv2"; find.dispatchEvent(new Event("input")); keep("find"); });
  await later(50, () => { find.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" })); });
  await later(900, () => {
    keep("focus");
    const [x, y] = poplar.place(poplar.state().chosen); at("pointermove", x, y); keep("tip");
  });
  await later(400, () => {
    const pen = document.getElementById("marks").getContext("2d"), seen = new Set();
    const pixels = pen.getImageData(0, 0, 600, 400).data;
    for (let i = 0; i < pixels.length; i += 4) seen.add(pixels[i] >> 4 << 8 | pixels[i + 1] >> 4 << 4 | pixels[i + 2] >> 4);
    const out = document.createElement("pre"); out.id = "result";
    out.textContent = JSON.stringify({ steps, colours: seen.size, names: poplar.items.map(i => i.n) }); document.body.append(out);
  });
})();
</script></html>
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    executable = pp.compile("models/lenet5.yaml", pp.Target.tiny(24), batch=2, training=True)
    path = tmp_path_factory.mktemp("page") / "lenet.html"
    facts = executable.render(path, size=1600, detail=2048)
    return executable, path, facts


def test_a_page_needs_nothing_else(page):
    executable, path, facts = page
    text = path.read_text()
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", text) and "@import" not in text
    assert facts["drawn_vertices"] == executable.num_vertices and facts["drawn_edges"] == executable.num_edges
    data = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)[1])
    assert f"{executable.num_vertices:,} vertices" in data["note"] and f"{executable.num_edges:,} edges" in data["note"]
    assert len(data["levels"]) >= 2 and all(level["t"] for level in data["levels"])
    names = {item["n"] for item in data["items"]}
    assert "conv1/forward" in names and {cs.name for cs in executable.graph.compute_sets if cs.blocks} <= names


def browse(page, folder, *more):
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
             "--force-prefers-reduced-motion", f"--user-data-dir={folder / 'profile'}", "--window-size=1200,800",
             "--virtual-time-budget=20000", *more]  # fmt: skip
    return subprocess.run([BROWSER, *flags, page.as_uri()], capture_output=True, text=True, timeout=120)


def shot(text, name, folder, action=""):
    """A screenshot of the page after some JavaScript; POPLAR_SHOTS names a folder to keep it in."""
    PIL_Image = pytest.importorskip("PIL.Image")
    (folder / f"{name}.html").write_text(
        text.replace("</html>", f"<script>setTimeout(() => {{ {action} }}, 600);</script></html>")
    )
    browse(folder / f"{name}.html", folder, f"--screenshot={folder / name}.png")
    if "POPLAR_SHOTS" in os.environ:
        shutil.copy(folder / f"{name}.png", os.environ["POPLAR_SHOTS"])
    return np.asarray(PIL_Image.open(folder / f"{name}.png").convert("RGB")).astype(int)


@needs_browser
def test_screenshots(page, tmp_path):
    text = page[1].read_text()
    whole = shot(text, "whole", tmp_path)
    middle = whole[100:700, 200:1000]
    assert (middle.max(2) - middle.min(2) > 60).mean() > 0.05, "no colours in the middle"
    find = "const find = document.getElementById('find'); find.value = 'conv2'; find.dispatchEvent(new Event('input'));"
    found = shot(text, "found", tmp_path, find)
    frame = np.abs(found - [255, 176, 59]).sum(2) < 60  # what matches is outlined in amber
    assert frame.sum() > (np.abs(whole - [255, 176, 59]).sum(2) < 60).sum() + 500
    near = "find.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter' }));"
    close = shot(text, "close", tmp_path, find + near)
    assert np.abs(close - whole).mean() > 8, "nothing was enlarged"


@needs_browser
def test_pan_zoom_find_and_tooltip(page, tmp_path):
    path = page[1]
    driven = tmp_path / "driven.html"
    driven.write_text(path.read_text().replace("</html>", SCRIPT))
    ran = browse(driven, tmp_path, "--dump-dom")
    found = re.search(r'<pre id="result">(.*?)</pre>', ran.stdout, re.S)
    assert found, ran.stderr[-800:]
    result = json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    state = dict(result["steps"])
    assert state["pan"]["px"] - state["start"]["px"] == pytest.approx(60)
    assert state["pan"]["py"] - state["start"]["py"] == pytest.approx(40)
    assert state["zoom"]["k"] > 3 * state["pan"]["k"]
    matching = [n for n in result["names"] if "conv2" in n]
    assert state["find"]["matches"] == len(matching) > 3
    chosen = result["names"][state["focus"]["chosen"]]
    assert chosen.startswith("conv2") and state["focus"]["k"] != state["zoom"]["k"]
    tip = state["tip"]["tip"]
    assert "conv2" in tip and all(word in tip for word in ("vert", "edge", "cycles", "exchanged"))
    assert result["colours"] > 20, "the picture is not on the canvas"
