// --- Samples --------------------------------------------------------------------------------------

const HISTORY_MS = 600e3, NOW_SAMPLES = 5;

const samples = [];  // of this server and, after a restart, of the server before it
let bounds = [];     // of the latency buckets, in nanoseconds

// Adds an answer's samples, which come as columns. Converts the server's times to this machine's
// clock.
function takeSamples(answer) {
  const {first, ...columns} = answer.samples;
  bounds = answer.latency_bounds_ns;
  const skew = Date.now() - answer.now * 1000;
  columns.time.forEach((time, i) => {
    const last = samples[samples.length - 1], life = answer.started, number = first + i;
    const sample = {life, number, at: time * 1000 + skew,
                    is_after_gap: !last || last.life !== life || last.number !== number - 1};
    for (const [name, values] of Object.entries(columns)) sample[name] = values[i];
    samples.push(sample);
  });
  while (samples.length && samples[0].at < Date.now() - HISTORY_MS - 5000) samples.shift();
}

// COUNTS are sums over a sample's interval. STATES are values at its end.
const COUNTS = ['seconds', 'answered', 'batches', 'batch_requests', 'batch_rows', 'cpu_seconds'];
const STATES = ['queue_requests', 'queue_seconds', 'in_flight_requests', 'in_flight_bytes', 'key_set_bytes',
                'resident_bytes'];

const sumOf = values => values.reduce((sum, value) => sum + value, 0);
function addTo(counts, key, count) { counts[key] = (counts[key] || 0) + count; }
// Returns the highest value. null: no sample has a value, because key sets were being loaded.
function highest(list, name) {
  const known = list.map(sample => sample[name]).filter(value => value !== null);
  return known.length ? Math.max(...known) : null;
}

// Merges samples into one point. Counts are added. A state of the point is the highest of the
// samples.
function merge(list) {
  const point = {at: list[list.length - 1].at, is_after_gap: list[0].is_after_gap, errors: {}, latency: []};
  for (const name of COUNTS) point[name] = sumOf(list.map(sample => sample[name]));
  for (const name of STATES) point[name] = highest(list, name);
  for (const {errors, latency} of list) {
    for (const [code, count] of Object.entries(errors)) addTo(point.errors, code, count);
    for (let i = 0; i < latency.length; i += 2) addTo(point.latency, latency[i], latency[i + 1]);
  }
  return point;
}

// Returns the points that charts draw, each from `width` samples. Samples are grouped by their
// numbers, so that a point keeps its value while it moves.
function pointsFrom(from, width) {
  const groups = [];
  let key = null;
  for (const sample of samples) {
    if (sample.at < from) continue;
    const group = `${sample.life} ${Math.floor(sample.number / width)}`;
    if (group !== key) groups.push([]);
    key = group;
    groups[groups.length - 1].push(sample);
  }
  return groups.map(merge);
}

// Returns a point with the counts of the last NOW_SAMPLES samples and the state of the last one, or
// null.
function latestPoint() {
  const last = samples[samples.length - 1];
  if (!last) return null;
  const point = merge(samples.slice(-NOW_SAMPLES).filter(sample => sample.life === last.life));
  for (const name of STATES) point[name] = last[name];
  return point;
}

// Returns a quantile in seconds, by linear interpolation within a bucket, as Prometheus does.
// Returns null if all counts are 0.
function quantile(counts, q) {
  const total = sumOf(counts);
  let below = 0;
  for (let i = 0; i < counts.length && total; ++i) {
    const count = counts[i] || 0, from = i ? bounds[i - 1] : 0, to = bounds[i] ?? from;
    if (count && below + count >= q * total) return (from + (to - from) * (q * total - below) / count) / 1e9;
    below += count;
  }
  return null;
}
