"""Tables for people and JSON for programs."""
import json

KEYS = ("problem", "work", "threads", "rheo_ms", "peer", "peer_ms", "ratio", "peak_share", "rheo_mb", "peer_mb")
HEAD = ("problem", "work", "threads", "rheo ms (least)", "peer", "peer ms (least)", "ratio (by repetition)", "rows/s", "of peak", "peer's", "rheo MB", "peer MB")


def json_text(results):
    return json.dumps([{key: result[key] for key in KEYS} for result in results], indent=1)


def cells(r):
    return (r["problem"], r["work"], str(r["threads"]), "%.3f (%.3f)" % (r["rheo_ms"], r["rheo_least"]), r["peer"],
            "%.3f (%.3f)" % (r["peer_ms"], r["peer_least"]), "%.2f (%s)" % (r["ratio"], " ".join("%.2f" % q for q in r["ratios"])),
            "%.3g" % r["rows_per_second"], "%.0f %%" % (100 * r["peak_share"]), "%.0f %%" % (100 * r["peer_peak_share"]),
            "%.1f" % r["rheo_mb"], "%.0f" % r["peer_mb"])


def table(results):
    lines = [HEAD] + [cells(result) for result in results]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    rows = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in lines]
    rows.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(rows)


def scaling(results):
    """Lines on how much more than one thread do."""
    lines = []
    for r in results:
        one = next((q for q in results if q["threads"] == 1 and all(q[key] == r[key] for key in ("problem", "work", "peer"))), None)
        if one and r["threads"] > 1:
            lines.append("%s %s: %d threads are %.2f times one thread (%s: %.2f)" % (
                r["problem"], r["work"], r["threads"], one["rheo_ms"] / r["rheo_ms"], r["peer"], one["peer_ms"] / r["peer_ms"]))
    return "\n".join(lines)
