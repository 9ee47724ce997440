/* SPDX-License-Identifier: Apache-2.0 */
/* page_style.c - how the status page looks and how it stays up to date. */
#include "server/page.h"

/* clang-format off */
const char wr_page_style[] =
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1f2328;--line:#d8dee4;--soft:#59636e;--ok:#1a7f37;--no:#b42318;"
    "--wait:#8a5a00;--bar:#2f6f9f;--card:#f6f8fa;"
    "--arm0:#0072b2;--arm1:#d58a00;--arm2:#00805c;--arm3:#b4588f;--arm4:#3d93c9;--arm5:#c65300}"
    "@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--line:#30363d;--soft:#9aa4af;--ok:#4ac26b;--no:#ff8b80;--wait:#e3b341;--bar:#58a6d8;"
    "--card:#161b22;--arm0:#3b9fe0;--arm1:#e69f00;--arm2:#1fbf8f;--arm3:#d98bb8;--arm4:#7cc4f0;--arm5:#f07c2a}}"
    "*{box-sizing:border-box}body{font:15px/1.5 system-ui,sans-serif;background:var(--bg);color:var(--fg);max-width:80rem;margin:1.5rem auto;padding:0 1rem}"
    "h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}h3{font-size:1rem;margin:0 0 .4rem}a{color:inherit}"
    "header p{margin:.2rem 0 0}.top{display:flex;flex-wrap:wrap;gap:.2rem 1rem;align-items:baseline;justify-content:space-between}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .9rem .4rem 0;border-bottom:1px solid var(--line);vertical-align:top}"
    "thead th{font-weight:600;color:var(--soft);font-size:.85rem;white-space:nowrap}tbody th{font-weight:400}tbody tr:last-child>*{border-bottom:0}"
    ".n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.t,.w{white-space:nowrap;font-variant-numeric:tabular-nums}"
    "code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}.soft{color:var(--soft)}.ok{color:var(--ok)}.no{color:var(--no)}.wait{color:var(--wait)}"
    "small{font-size:.85rem}.under{display:block;font-size:.85rem;overflow-wrap:anywhere;max-width:34rem}.scroll{overflow-x:auto}"
    ".scroll:focus-visible,summary:focus-visible{outline:2px solid var(--bar);outline-offset:2px}"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.7rem;margin:1.2rem 0 0}"
    ".tiles>div,article{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.7rem .9rem}.tiles>.wide{grid-column:span 2}"
    ".tiles dt{font-size:.85rem;color:var(--soft)}.tiles dd{margin:0;font-size:1.25rem;"
    "font-variant-numeric:tabular-nums}.tiles dd small{font-size:.8rem;color:var(--soft)}"
    "article{margin:0 0 .8rem}article p{margin:.2rem 0}svg{display:block}.bars{width:100%;height:1.8rem}td .bars{width:8rem;height:1.6rem}"
    ".shares{width:100%;height:.75rem;margin:.5rem 0;border-radius:.2rem}.bar{fill:var(--bar)}.bad{fill:var(--no)}.base{fill:var(--line)}"
    ".arm0{fill:var(--arm0);color:var(--arm0)}.arm1{fill:var(--arm1);color:var(--arm1)}.arm2{fill:var(--arm2);"
    "color:var(--arm2)}.arm3{fill:var(--arm3);color:var(--arm3)}"
    ".arm4{fill:var(--arm4);color:var(--arm4)}.arm5{fill:var(--arm5);color:var(--arm5)}.key{display:inline-block;"
    "width:.7em;height:.7em;border-radius:.15em;background:currentColor;margin-right:.4em}"
    ".guard{display:inline-block;margin:0 .9rem .2rem 0}.guard b{font-weight:600}"
    "@media(max-width:46rem){.tiles{grid-template-columns:1fr 1fr}.scroll thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}"
    "table,tbody,tr,tbody th,tbody td{display:block}tbody tr{border-bottom:1px solid var(--line);padding:.5rem 0}tbody tr:last-child{border-bottom:0}"
    "tbody th,tbody td,td.n{border:0;padding:.05rem 0;text-align:left}td[data-l]:not(:empty){display:flex;gap:.8rem}"
    "td[data-l]:not(:empty)::before{content:attr(data-l);color:var(--soft);font-size:.85rem;flex:0 0 7rem}td:empty{display:none}}";

/* Only sections that differ are touched, and none that holds a selection, so that reading and copying go on undisturbed. What is
 * unfolded (details have an id) and how far a table was scrolled stays. */
const char wr_page_script[] =
    "(()=>{const live=document.getElementById('live'),said=document.getElementById('said');live.parentElement.hidden=false;"
    "const keep=(old,now)=>{for(const d of old.querySelectorAll('details[open][id]')){const n=now.querySelector('#'+CSS.escape(d.id));if(n)n.open=true}};"
    "const held=s=>{const g=getSelection();return g&&!g.isCollapsed&&g.rangeCount&&g.getRangeAt(0).intersectsNode(s)};"
    "const put=(old,now)=>{keep(old,now);if(old.innerHTML===now.innerHTML||held(old))return;"
    "const at=[...old.querySelectorAll('.scroll')].map(x=>x.scrollLeft),had=document.activeElement;"
    "const inside=[...old.querySelectorAll('[tabindex],summary,a')].indexOf(had);"
    "old.replaceChildren(...now.childNodes);old.querySelectorAll('.scroll').forEach((x,i)=>{x.scrollLeft=at[i]||0});"
    "if(inside>=0){const f=old.querySelectorAll('[tabindex],summary,a')[inside];if(f)f.focus({preventScroll:true})}};"
    "const look=async()=>{if(!live.checked||document.hidden)return;try{const r=await fetch(location.href,{cache:'no-store'});"
    "if(!r.ok)throw 0;const d=new DOMParser().parseFromString(await r.text(),'text/html');"
    "for(const s of document.querySelectorAll('[data-part]')){const n=d.getElementById(s.id);if(n)put(s,n)}said.textContent=''}"
    "catch(e){if(!said.textContent)said.textContent='the server does not answer; shown is how it was at '+new Date().toLocaleTimeString()}};"
    "setInterval(look,3000);document.addEventListener('visibilitychange',look)})()";
/* clang-format on */
