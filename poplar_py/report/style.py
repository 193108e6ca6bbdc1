"""The look of the page: one style sheet for light and dark, and the few lines of script that switch between them."""

STYLE = """
:root{color-scheme:light;--page:#f6f7f9;--card:#fff;--ink:#14181f;--soft:#5c6675;--line:#e2e6ec;--good:#157a4b;
--bad:#c3203f;--accent:#1b6fd0;--compute:#2f9a3a;--exchange:#2489e6;--sync:#8b94a3;--host:#8a63d2;
--m0:#3b7dd8;--m1:#8fbdf0;--m2:#e09400;--m3:#7d6bb5;--m4:#b3a5dc;--m5:#4aa38b;--m6:#9bcfbf;--m7:#8b94a3;--m8:#c7a27c;--m9:#d5dae2}
@media(prefers-color-scheme:dark){:root:not([data-theme=light]){color-scheme:dark;--page:#0d1015;--card:#151a22;
--ink:#e9edf3;--soft:#98a3b3;--line:#252c37;--good:#4ecb8d;--bad:#ff6b82;--accent:#6db1ff;--compute:#46b246;
--exchange:#3fa9ff;--sync:#8a91a0;--host:#a98bf0;--m0:#4a92f2;--m1:#2c5c9c;--m2:#ffb03b;--m3:#a593e0;--m4:#6a5b9e;
--m5:#4fbf9f;--m6:#2f7763;--m7:#77818f;--m8:#8a6a48;--m9:#39424f}}
:root[data-theme=dark]{color-scheme:dark;--page:#0d1015;--card:#151a22;--ink:#e9edf3;--soft:#98a3b3;--line:#252c37;
--good:#4ecb8d;--bad:#ff6b82;--accent:#6db1ff;--compute:#46b246;--exchange:#3fa9ff;--sync:#8a91a0;--host:#a98bf0;
--m0:#4a92f2;--m1:#2c5c9c;--m2:#ffb03b;--m3:#a593e0;--m4:#6a5b9e;--m5:#4fbf9f;--m6:#2f7763;--m7:#77818f;--m8:#8a6a48;--m9:#39424f}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1180px;margin:0 auto;padding:28px 20px 60px}
header{display:flex;align-items:baseline;gap:14px;flex-wrap:wrap;margin-bottom:18px}
h1{font-size:24px;margin:0;letter-spacing:-.01em}h2{font-size:16px;margin:0 0 4px}section h2~h2,svg~h2,ul~h2,div~h2{margin-top:24px}
header p{margin:0;color:var(--soft);flex:1}
button{font:inherit;font-size:13px;color:var(--soft);background:none;border:1px solid var(--line);border-radius:6px;
padding:3px 10px;cursor:pointer}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:20px 22px;margin-top:16px}
.note{color:var(--soft);font-size:13px;margin:0 0 12px}
.health{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,1fr);gap:26px}
.verdict{font-size:21px;font-weight:650;margin:0}.good{color:var(--good)}.over{color:var(--bad)}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(120px,1fr));gap:14px;margin:16px 0 0}
.figures div{border-left:3px solid var(--line);padding-left:10px}
.figures b{display:block;font-size:18px;font-variant-numeric:tabular-nums}.figures span{color:var(--soft);font-size:12.5px}
.plain{margin:18px 0 0;padding-top:14px;border-top:1px solid var(--line)}
svg{width:100%;height:auto;display:block}svg text{fill:var(--soft);font-size:12px}
svg .grid{stroke:var(--line);stroke-width:1}svg .limit{stroke:var(--bad);stroke-width:1.5;stroke-dasharray:6 4}
svg .limit-text{fill:var(--bad)}svg.bar{height:14px;border-radius:4px;margin:6px 0}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:13px;color:var(--soft);margin:8px 0 0;padding:0;list-style:none}
.legend i{display:inline-block;width:10px;height:10px;border-radius:2px;margin-right:6px}
table{width:100%;border-collapse:collapse;font-size:13.5px}
th{text-align:left;color:var(--soft);font-weight:500;border-bottom:1px solid var(--line);padding:5px 8px}
td{padding:5px 8px;border-bottom:1px solid var(--line);vertical-align:middle;overflow-wrap:anywhere}
tr:last-child td{border-bottom:0}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}td.w{width:22%}
code{font:12.5px/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.scroll{overflow-x:auto}
footer{color:var(--soft);font-size:12.5px;margin-top:18px}
@media(max-width:760px){.health{grid-template-columns:1fr}}
@media print{button{display:none}section{break-inside:avoid}}
"""

SCRIPT = """
document.querySelector('button').onclick=function(){var r=document.documentElement,
d=r.dataset.theme||(matchMedia('(prefers-color-scheme:dark)').matches?'dark':'light');
r.dataset.theme=d==='dark'?'light':'dark'};
"""
