"""Results as text: a row for the terminal, the table of the README. Not here: measuring."""

from __future__ import annotations

NAMES = {
    "renga": "Renga", "torch": "PyTorch 2.13", "torch_compile": "torch.compile", "onnxruntime": "ONNX Runtime 1.31",
    "openvino": "OpenVINO 2026.4", "ncnn": "ncnn 2026-10", "mnn": "MNN 3.6", "bound": "bound",
}  # fmt: skip


def limit(result: dict) -> tuple[float, float] | None:
    """Renga's GFLOP/s by the median (the direct method's operations) and that as a part of the measured peak."""
    key = "bf16_gflops" if ", bf16" in result["title"] else "f32_gflops"
    if "gflop" not in result or key not in result.get("peaks", {}):
        return None
    rate = result["gflop"] / result["engines"]["renga"]["median"] * 1e3
    return rate, rate / result["peaks"][key][-1]


def row_text(result: dict) -> str:
    """A row for the terminal: each engine's median, least, greatest and ratios; targets; percent of the limit."""
    lines = [f"{result['title']} ({result['runs']} runs each)"]
    ours = result["engines"]["renga"]
    for engine, figures in result["engines"].items():
        columns = "".join(f"{figures[key]:10.2f}" for key in ("median", "min", "max"))
        ratios = f"{figures['median'] / ours['median']:8.2f}x{figures['min'] / ours['min']:8.2f}x"
        error = f"   {figures['error']:.1e} from the reference" if "error" in figures else ""
        lines.append(f"  {NAMES[engine]:20}{columns} {result['unit']:4}{ratios}{error}")
    for target in result["targets"]:
        word = "met" if target["met"] else "NOT MET"
        ratio = f"{target['median']:.2f}x by medians, {target['min']:.2f}x by minima"
        lines.append(f"  beside {NAMES[target['best']]}: {ratio}; asked {target['asked']:.2f}x: {word}")
    found = limit(result)
    if found:
        peaks = ", ".join(f"{key} {value[0]:.0f} and {value[-1]:.0f}" for key, value in result["peaks"].items())
        lines.append(f"  {found[0]:.0f} GFLOP/s = {found[1]:.0%} of the peak; measured with 1 and all threads: {peaks}")
    return "\n".join(lines)


def _figure(value: float, unit: str) -> str:
    return f"{value:.2f} {unit}" if unit == "MB" else f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"


def markdown(results: dict) -> str:
    """The README's table."""
    lines = [
        "| work | Renga | fastest peer | times faster, medians (minima) | asked | of the machine's peak |",
        "|---|---|---|---|---|---|",
    ]
    for result in results.values():
        ours = _figure(result["engines"]["renga"]["median"], result["unit"])
        found = limit(result)
        part = f"{found[1]:.0%}" if found else ""
        for target in result["targets"]:
            mark = "" if target["met"] else " (missed)"
            if result["kind"] == "size":
                lines.append(f"| {result['title']} | {ours} | | | under 8 MB{mark} | |")
                continue
            peer = f"{NAMES[target['best']]}, {_figure(result['engines'][target['best']]['median'], result['unit'])}"
            ratio = f"**{target['median']:.2f}x** ({target['min']:.2f}x)"
            lines.append(f"| {result['title']} | {ours} | {peer} | {ratio} | {target['asked']:g}x{mark} | {part} |")
    return "\n".join(lines)


def growth_markdown(results: dict) -> str:
    """The growth's ends and best points, an axis a line."""
    lines = ["| grows | from … to | Renga, ms an image at both ends (least) | ONNX Runtime | plan's memory |"]
    lines.append("|---|---|---|---|---|")
    for axis in ("batch", "size", "depth"):
        points = [result for result in results.values() if result["axis"] == axis]
        if not points:
            continue
        columns = []
        for engine in ("renga", "onnxruntime"):
            each = [point["engines"][engine]["median"] / point["batch"] for point in points]
            columns.append(f"{each[0]:.2g} … {each[-1]:.2g} ({min(each):.2g})")
        memory = f"{points[0]['plan_bytes'] / 2**20:.1f} … {points[-1]['plan_bytes'] / 2**20:.1f} MiB"
        lines.append(f"| {axis} | {points[0][axis]} … {points[-1][axis]} | {columns[0]} | {columns[1]} | {memory} |")
    return "\n".join(lines)
