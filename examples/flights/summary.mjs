// SPDX-License-Identifier: Apache-2.0
// Joins the reports of the demo into build/demo.json and a few lines for people.
import {existsSync, readFileSync, writeFileSync} from 'node:fs'

const [build, dev, live, started] = process.argv.slice(2)
const read = (path) => JSON.parse(readFileSync(path, 'utf8'))
const maybe = (path) => (existsSync(path) ? read(path) : null)

const before = read(`${build}/demo/status.json`)
const cost = read(`${live}/reports/sustain.json`)
const evaluation = read(`${dev}/reports/evaluate.json`)
const check = read(`${dev}/reports/check.json`)
const replay = read(`${live}/reports/replay.json`)
const monitor = read(`${live}/reports/monitor.json`)
const challenge = maybe(`${live}/reports/challenge.json`)
const models = read(`${live}/reports/models.json`)

const cached = new Set(before.filter((s) => s.status === 'up to date').map((s) => s.name))
const summary = {
  auc_static: evaluation.baseline.metrics.auc,
  auc: evaluation.model.metrics.auc,
  retrained_auc: challenge?.model.metrics.auc ?? null,
  champion_auc_same_rows: challenge?.against?.metrics.auc ?? null,
  rows: check.rows ?? 3000000,
  requests: replay.requests,
  failed_requests: replay.failed,
  drift_weeks: monitor.windows.filter((w) => w.drifts && w.complete).map((w) => w.window_start),
  retrainings: cost.stages.filter((s) => s.stage === 'retrain').reduce((n, s) => n + s.runs, 0),
  promoted: models.some((m) => m.model === 'delay' && m.version > 1 && m.aliases.includes('champion')),
  energy_j: cost.total.energy_j,
  gco2e: cost.total.gco2e,
  stages: cost.stages.map((s) => ({
    name: s.stage, seconds: s.seconds, cpu_seconds: s.cpu_seconds, energy_j: s.energy_j,
    cached: cached.has(s.stage),
  })),
  seconds: Date.now() / 1000 - Number(started),
}
writeFileSync(`${build}/demo.json`, JSON.stringify(summary, null, 2) + '\n')

const n = (x) => Math.round(x).toLocaleString('en-US')
const f = (x, d = 4) => (x === null ? 'none' : x.toFixed(d))
const gain = summary.retrained_auc === null ? 'no retraining finished'
  : `${f(summary.retrained_auc)} against ${f(summary.champion_auc_same_rows)} of the champion on the same rows: ${summary.promoted ? 'promoted' : 'not promoted'}`
console.log(`Will a flight arrive more than 15 minutes late? Asked for June 2001, with what was known when each flight left.
  AUC in June            ${f(summary.auc)} (${f(summary.auc_static)} without what happened in the last three hours)
  requests               ${n(summary.requests)}, ${n(summary.failed_requests)} failed, each logged, labelled when its outcome was known
  drift                  ${summary.drift_weeks.length ? 'weeks of ' + summary.drift_weeks.join(', ') : 'none'}
  retrainings            ${summary.retrainings}: AUC ${gain}
  energy and carbon      ${(summary.energy_j / 3600).toFixed(2)} Wh, ${summary.gco2e.toFixed(2)} gCO2e in all; ${f(cost.serving.energy_j_per_1000, 2)} J per 1000 predictions
  time                   ${n(summary.seconds)} s, of which ${n(replay.wall_s)} s replay
More: build/demo.json, ${live}/reports/monitor.html`)
