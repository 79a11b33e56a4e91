// --- State ----------------------------------------------------------------------------------------

const POLL_MS = 1000, ANSWER_MS = 5000, POINTS = 120, CODES_MAX = 4;

let newest = null;       // the last answer
let answered_at = null;  // when it came
let is_gone = false;     // true if the last question got no answer
let cursor_at = null;    // the time that the reader points at, or null
let range_ms = HISTORY_MS;
const marks = [];  // the starts of servers: {at, text}
const away = [];   // times without a server before a restart: [from, to]

// --- The charts -----------------------------------------------------------------------------------

const errorsOf = ({errors}) => sumOf(Object.values(errors));
const LOADING = 'Key sets are being loaded';

// Makes a curve for each of the most frequent codes, and one for all other codes.
function errorSeries(points) {
  const totals = {};
  for (const {errors} of points) {
    for (const [code, count] of Object.entries(errors)) addTo(totals, code, count);
  }
  const codes = Object.keys(totals).sort((a, b) => totals[b] - totals[a] || (a < b ? -1 : 1));
  const named = codes.length > CODES_MAX + 1 ? codes.slice(0, CODES_MAX) : codes;
  const others = codes.slice(named.length);
  const rateOf = list => point => sumOf(list.map(code => point.errors[code] || 0)) / point.seconds;
  const series = named.map(code => ({name: code, of: rateOf([code])}));
  return others.length ? [...series, {name: 'others', of: rateOf(others)}] : series;
}

const SPECS = [{
  id: 'requests', title: 'Requests a second', kind: 'count', least: 1,
  about: 'Score requests that were answered with OK, a second.',
  series: () => [{name: '', of: point => point.answered / point.seconds}],
  note: () => newest.answered ? `${whole(newest.answered)} since the start` : '',
  empty: 'No request yet', is_empty: () => !newest.answered,
}, {
  id: 'latency', title: 'Latency', kind: 'time',
  about: 'From the arrival of a whole Score request until its answer, if that is OK, is handed to gRPC. Half of the '
    + 'requests take at most p50, 99 of 100 at most p99. Both are interpolated in a histogram whose bounds are 2 to '
    + '2.5 times apart.',
  series: () => [{name: 'p50', of: point => quantile(point.latency, 0.5)},
                 {name: 'p99', of: point => quantile(point.latency, 0.99)}],
  empty: 'No request in this time',
}, {
  id: 'batch', title: 'Requests a batch', kind: 'count', least: 2,
  about: 'Requests answered, divided by the batches run. 1: each request ran alone.',
  series: () => [{name: '', of: point => point.batches ? point.batch_requests / point.batches : null}],
  note: point => point.batches ? `${digits3(point.batch_rows / point.batches)} rows a batch` : '',
  empty: 'No batch in this time',
}, {
  id: 'queue', title: 'Queue', kind: 'count', is_whole: true, least: 4,
  about: 'Requests that wait for a worker. A point is the most that a sample found.',
  series: () => [{name: '', of: point => point.queue_requests}],
  note: ({queue_seconds}) => queue_seconds ? `${timeText(queue_seconds)} of work predicted` : '',
  empty: LOADING,
}, {
  id: 'errors', title: 'Errors a second', kind: 'count', least: 1,
  about: 'Calls of every kind that were answered with another code than OK, a second.',
  series: errorSeries, total: point => errorsOf(point) / point.seconds,
  note: () => errorsOf(newest) ? `${whole(errorsOf(newest))} since the start` : 'none since the start',
  empty: 'No error in this time',
}, {
  id: 'in_flight', title: 'Bytes in flight', kind: 'bytes', least: 2 ** 20,
  about: 'Bytes charged for calls that have not been answered whole. A point is the most that a sample found.',
  series: () => [{name: '', of: point => point.in_flight_bytes}],
  note: ({in_flight_requests: calls}) =>
    calls === null ? '' : `${plural(calls, 'call')}, limit ${bytesText(newest.in_flight_bytes_max)}`,
  empty: LOADING,
}, {
  id: 'memory', title: 'Memory', kind: 'bytes',
  about: 'What key sets take, old versions in use and uploads under way among them; and the resident memory of the '
    + 'process.',
  series: () => [{name: 'key sets', of: point => point.key_set_bytes},
                 {name: 'process', of: point => point.resident_bytes}],
  empty: '',
}, {
  id: 'cpu', title: 'CPUs in use', kind: 'count', least: 1,
  about: 'CPU time of all threads, a second.',
  series: () => [{name: '', of: point => point.cpu_seconds / point.seconds}],
  note: () => plural(newest.workers, 'worker'),
}];

function setCursor(at) {
  if (cursor_at === at) return;
  cursor_at = at;
  showCharts();
}
const charts = SPECS.map(spec => new Chart(spec, setCursor));
element('charts').append(...charts.map(chart => chart.root));

function showCharts() {
  if (!newest) return;
  const last = samples[samples.length - 1];
  const to = is_gone || !last ? Date.now() : last.at, from = to - range_ms;
  const points = pointsFrom(from, range_ms / POINTS / 1000);
  // All charts show the values of the same time.
  const cursor = cursor_at === null || !points.length || cursor_at < from ? null
    : points.reduce((best, point) => Math.abs(point.at - cursor_at) < Math.abs(best.at - cursor_at) ? point : best);
  if (!cursor) cursor_at = null;
  const dark = is_gone ? [...away, [answered_at, to]] : away;
  for (const chart of charts) chart.show({points, latest: latestPoint(), from, to, cursor, marks, away: dark});
}

// --- The page -------------------------------------------------------------------------------------

function showState() {
  const is_good = !is_gone && newest.is_ready, state = is_gone ? 'no answer' : newest.state;
  element('state').className = `state ${is_gone ? 'bad' : is_good ? 'good' : 'warn'}`;
  say(element('state'), state);
  document.title = `${is_good ? '' : `${state} · `}qkserve ${location.host}`;
  document.body.classList.toggle('is_gone', is_gone);
  element('gone').hidden = !is_gone || !answered_at;
  if (is_gone && answered_at) {
    say(element('gone_since'), clockText(answered_at));
    say(element('gone_for'), spanText((Date.now() - answered_at) / 1000));
  }
}

function showFacts() {
  say(element('version'), newest.version);
  say(element('uptime'), spanText(newest.now - newest.started));
  say(element('kernel'), newest.kernel);
  say(element('key_set_kernel'), newest.key_set_kernel);
  say(element('workers'), whole(newest.workers));
}

async function ask(after) {
  const response = await fetch(`/history.json?after=${after}`, {signal: AbortSignal.timeout(ANSWER_MS)});
  if (!response.ok) throw new Error(response.status);
  return response.json();
}

// Asks for what is new since the last answer. Returns null if no answer comes. A restarted server
// is asked for everything, because it numbers its samples anew.
async function askForNew() {
  try {
    const answer = await ask(newest ? newest.samples.first + newest.samples.time.length - 1 : 0);
    return newest && newest.started !== answer.started ? await ask(0) : answer;
  } catch (error) {
    return null;
  }
}

function take(answer) {
  const now = Date.now();
  if (!newest || newest.started !== answer.started) {
    const started_at = now - (answer.now - answer.started) * 1000;
    marks.push({at: started_at, text: newest ? 'restarted' : 'started'});
    if (newest) away.push([answered_at, started_at]);
    answers.length = 0;  // the new server's key sets count from 0
  }
  newest = answer;
  answered_at = now;
  takeSamples(answer);
  showFacts();
  showKeySets(answer.key_sets, answer.now * 1000);
}

async function poll() {
  const answer = await askForNew();
  is_gone = !answer;
  if (answer) take(answer);
  showState();
  showCharts();
}

// A hidden page does not ask, because the server keeps what the page misses.
async function run() {
  for (;;) {
    if (document.hidden) await new Promise(done => document.addEventListener('visibilitychange', done, {once: true}));
    await poll();
    await new Promise(done => setTimeout(done, POLL_MS));
  }
}

for (const input of document.querySelectorAll('.range input')) {
  input.addEventListener('change', () => {
    range_ms = input.value * 1000;
    say(element('point'), `${range_ms / POINTS / 1000} s`);
    setCursor(null);
    showCharts();
  });
}
document.addEventListener('pointerdown', event => { if (!event.target.closest('svg')) setCursor(null); });
new ResizeObserver(() => requestAnimationFrame(() => { showCharts(); fitTable(); })).observe(element('charts'));
run();
