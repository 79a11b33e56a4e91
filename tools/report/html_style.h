#ifndef QKSERVE_TOOLS_REPORT_HTML_STYLE_H_
#define QKSERVE_TOOLS_REPORT_HTML_STYLE_H_

#include "absl/strings/string_view.h"

namespace qkserve {

// The style sheet of HtmlPage and of its charts. The colours of series are Okabe and Ito's, which
// people with colour blindness tell apart. They are lighter in dark mode. On a phone the texts of
// charts have the size Drawing::kTextSize.
inline constexpr absl::string_view kHtmlStyle = R"(
:root { color-scheme: light dark; --back: #fff; --card: #f6f7f9; --text: #1c2128; --soft: #59636e;
  --grid: #d9dee4; --mark: #b3261e; --good: #1a7f37; --c0: #0072b2; --c1: #c04f00; --c2: #00825f;
  --c3: #a34a80; --c4: #8a6700; --c5: #68727d; }
@media screen and (prefers-color-scheme: dark) {
  :root { --back: #14171b; --card: #1d2127; --text: #e6e9ed; --soft: #9aa4af; --grid: #343b44;
    --mark: #ff8a80; --good: #56d364; --c0: #56b4e9; --c1: #ff9d5c; --c2: #3fcf9f; --c3: #e19ac4;
    --c4: #f0e442; --c5: #98a2ad; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1100px; padding: 24px 16px 48px; background: var(--back);
  color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 24px; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 32px 0 12px; overflow-wrap: anywhere; }
p { margin: 4px 0 12px; overflow-wrap: anywhere; }
.subtitle { color: var(--soft); }
.figures { display: flex; flex-wrap: wrap; gap: 12px; margin-bottom: 16px; }
.figures div { flex: 1 1 112px; background: var(--card); border-radius: 8px; padding: 10px 14px; }
.figures b { display: block; font-size: 20px; font-weight: 600; line-height: 1.3;
  white-space: nowrap; }
.figures span { color: var(--soft); font-size: 13px; }
.charts { display: grid; gap: 16px; margin-bottom: 16px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); }
figure { margin: 0; background: var(--card); border-radius: 8px; padding: 12px; max-width: 640px; }
figcaption { font-weight: 600; margin-bottom: 4px; }
.legend { font-size: 13px; color: var(--soft); margin: 0 0 4px; }
.legend span { white-space: nowrap; margin-right: 14px; }
.legend i { display: inline-block; width: 11px; height: 11px; margin-right: 6px; }

svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
.grid, .axis { stroke: var(--grid); fill: none; }
.axis { stroke: var(--soft); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.marker { stroke: var(--card); stroke-width: 1; }
.s0 { stroke: var(--c0); } .s1 { stroke: var(--c1); stroke-dasharray: 7 4; }
.s2 { stroke: var(--c2); stroke-dasharray: 2 3; }
.s3 { stroke: var(--c3); stroke-dasharray: 9 3 2 3; }
.s4 { stroke: var(--c4); stroke-dasharray: 12 4; }
.s5 { stroke: var(--c5); stroke-dasharray: 4 2; }
.marker.s0 { fill: var(--c0); } .marker.s1 { fill: var(--c1); } .marker.s2 { fill: var(--c2); }
.marker.s3 { fill: var(--c3); } .marker.s4 { fill: var(--c4); } .marker.s5 { fill: var(--c5); }
.marker { stroke: var(--card); stroke-dasharray: none; }
svg .name { font-weight: 600; }
svg .t0 { fill: var(--c0); } svg .t1 { fill: var(--c1); } svg .t2 { fill: var(--c2); }
svg .t3 { fill: var(--c3); } svg .t4 { fill: var(--c4); } svg .t5 { fill: var(--c5); }
.one-color .line { stroke: var(--c0); }
.one-color .marker, svg .one-color .name { fill: var(--c0); }
.bar0 { fill: var(--c0); } .bar1 { fill: none; stroke: var(--c1); stroke-width: 1.5; }
i.bar0 { background: var(--c0); } i.bar1 { border: 2px solid var(--c1); }
.mark { stroke: var(--mark); stroke-width: 1.5; stroke-dasharray: 5 3; fill: none; }
.mark.good { stroke: var(--good); stroke-dasharray: none; }
svg .mark-label { fill: var(--mark); font-weight: 600; }
svg .mark-label.good { fill: var(--good); }
svg .mark-label, svg .point { stroke: var(--card); stroke-width: 4px; paint-order: stroke;
  stroke-linejoin: round; }
svg .point { fill: var(--text); }
.at > rect { fill: transparent; }
.at > path { stroke: var(--soft); visibility: hidden; }
.tip { visibility: hidden; pointer-events: none; }
.at:hover > path, .at:hover .tip { visibility: visible; }
.tip rect { fill: var(--back); stroke: var(--grid); }
svg .tip text { fill: var(--text); }

.bars div { display: grid; grid-template-columns: minmax(6em, 34%) 1fr; gap: 10px;
  align-items: center; font-size: 14px; padding: 3px 0; }
.bars div > span:first-child { text-align: right; line-height: 1.2; overflow-wrap: anywhere; }
.bars .track { display: flex; white-space: nowrap; align-items: center; gap: 7px; font-variant-numeric: tabular-nums; }
.bars i { height: 18px; min-width: 2px; border-radius: 0 3px 3px 0; }
.b0 { background: var(--c0); } .b1 { background: var(--c1); } .b2 { background: var(--c2); }
.b3 { background: var(--c3); } .b4 { background: var(--c4); } .b5 { background: var(--c5); }

.table { overflow-x: auto; margin-bottom: 16px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: 5px 18px 5px 0; border-bottom: 1px solid var(--grid); text-align: right;
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; }
th { color: var(--soft); font-weight: 500; }
table.pairs td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
table.pairs td:first-child { color: var(--soft); white-space: nowrap; vertical-align: top; }
.verdict { font-weight: 600; border-radius: 10px; padding: 1px 9px; border: 1.5px solid; }
.met { color: var(--good); }
.missed { color: var(--back); background: var(--mark); border-color: var(--mark); }

@media (max-width: 640px) {
  body { padding: 16px 12px 32px; }
  figure { padding: 10px 8px; }
  svg text { font-size: 14.5px; }
  .rows thead { display: none; }
  .rows, .rows tbody { display: block; }
  .rows tr { display: flex; flex-wrap: wrap; gap: 2px 20px; padding: 8px 0;
    border-bottom: 1px solid var(--grid); }
  .rows td { display: flex; flex: 1 1 40%; justify-content: space-between; gap: 8px; padding: 0;
    border: 0; }
  .rows td:first-child { flex-basis: 100%; font-weight: 600; }
  .rows td:not(:first-child)::before { content: attr(data-name); color: var(--soft); }
  table.pairs td:first-child { white-space: normal; min-width: 9em; }
}
@media print {
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { max-width: none; padding: 0; font-size: 12px; }
  .charts { grid-template-columns: 1fr 1fr; }
  figure, tr, .figures div { break-inside: avoid; }
  h2 { break-after: avoid; }
}
)";

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_REPORT_HTML_STYLE_H_
