// --- Numbers --------------------------------------------------------------------------------------

// Units of a quantity, the smallest first. An axis has one unit. The readings of a chart have one
// unit, too.
const UNITS = {
  count: [['', 1]],
  time: [['µs', 1e-6], ['ms', 1e-3], ['s', 1]],
  bytes: [['B', 1], ['KiB', 2 ** 10], ['MiB', 2 ** 20], ['GiB', 2 ** 30], ['TiB', 2 ** 40]],
};
// Returns the largest unit that is not above `value`, or else the smallest unit.
const unitOf = (kind, value) => UNITS[kind].findLast(([, size]) => value >= size) || UNITS[kind][0];

const fixed = (x, digits) => x.toLocaleString('en', {minimumFractionDigits: digits, maximumFractionDigits: digits});
// Returns a number with three digits, or with all digits before the point if these are more: 0.25,
// 3.40, 47.3, 1,234.
function digits3(x) {
  if (x === 0) return '0';
  if (x < 0.005) return '<0.01';
  return fixed(x, x < 9.995 ? 2 : x < 99.95 ? 1 : 0);
}
const whole = x => fixed(x, 0);
const plural = (count, word) => `${whole(count)} ${word}${count === 1 ? '' : 's'}`;
function bytesText(x) {
  const [name, size] = unitOf('bytes', x);
  return `${size > 1 ? digits3(x / size) : whole(x)} ${name}`;
}
function timeText(x) {
  const [name, size] = unitOf('time', x);
  return `${digits3(x / size)} ${name}`;
}

const clockText = ms => new Date(ms).toLocaleTimeString('en-GB');
function spanText(s) {
  s = Math.max(0, Math.floor(s));
  const d = Math.floor(s / 86400), h = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60;
  return d ? `${d} d ${h} h` : h ? `${h} h ${m} min` : m ? `${m} min ${s % 60} s` : `${s} s`;
}

// The smallest of 1, 2, 5, 10, 20, ... that is not below `least`.
function roundStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map(n => n * power).find(step => step >= least * 0.999999);
}

// --- Elements -------------------------------------------------------------------------------------

const element = id => document.getElementById(id);
const SVG = element('chart').content.querySelector('svg').namespaceURI;

// Writes a text only if it has changed, so that a selection and a tooltip stay.
function say(node, text) { if (node.textContent !== text) node.textContent = text; }

// Gives `parent` as many children as there are items. make() makes a new child, and update(child,
// item, index) fills each child.
function fit(parent, items, make, update) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  while (parent.children.length < items.length) parent.appendChild(make());
  items.forEach((item, i) => update(parent.children[i], item, i));
}

// --- A chart --------------------------------------------------------------------------------------

function reading() {
  const made = document.createElement('div');
  made.append(document.createElement('dt'), document.createElement('dd'));
  made.lastElementChild.append('', document.createElement('small'));
  return made;
}

function showReading(made, {label, className, value, unit}) {
  const [dt, dd] = made.children;
  say(dt, label);
  dt.className = className;
  dd.firstChild.data = value;
  say(dd.lastElementChild, unit ? ` ${unit}` : '');
}

// Curves over time. Readings show the newest values, or the values at the point that the reader
// points at.
//
// `spec` has
//   id, title, about   a part of the element's id; the subject in a few words, then in sentences
//   kind, is_whole     a key of UNITS; true if all values are whole numbers
//   least              the axis ends here or higher, so that small values do not look large
//   series(points)     [{name, of}]; of(point) is the value at that point, or null if it has none
//   total              the of() of a single large reading, for charts that may have many series
//   note(point)        a line below the reading, if there is only one reading
//   empty, is_empty    the text to show if there is no value, or if is_empty() is true
class Chart {
  // `onCursor` is called with a time, or null.
  constructor(spec, onCursor) {
    this.spec = spec;
    this.root = element('chart').content.firstElementChild.cloneNode(true);
    const part = query => this.root.querySelector(query);
    this.svg = part('svg');
    this.readings = part('.readings');
    this.codes = part('.codes');
    this.time = part('time');
    this.root.id = `chart_${spec.id}`;
    part('h2').textContent = spec.title;
    part('h2').title = spec.about;
    this.svg.setAttribute('aria-label', `${spec.title}, over time`);
    this.view = null;  // what was drawn last
    this.listen(onCursor);
  }

  // A mouse shows the values under it. The values under a finger stay until the finger touches
  // elsewhere.
  listen(onCursor) {
    const follow = event => onCursor(this.nearest(event.clientX - this.svg.getBoundingClientRect().left));
    this.svg.addEventListener('pointermove', follow);
    this.svg.addEventListener('pointerdown', follow);
    this.svg.addEventListener('pointerleave', event => { if (event.pointerType === 'mouse') onCursor(null); });
    this.svg.addEventListener('blur', () => onCursor(null));
    const steps = {ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10,
                   Home: -Infinity, End: Infinity};
    this.svg.addEventListener('keydown', event => {
      if (event.key === 'Escape') onCursor(null);
      if (!(event.key in steps) || !this.view || !this.view.points.length) return;
      event.preventDefault();
      const {points, cursor} = this.view, last = points.length - 1;
      const to = (cursor ? points.indexOf(cursor) : last) + steps[event.key];
      onCursor(points[Math.min(Math.max(to, 0), last)].at);
    });
  }

  // The time of the point that is nearest to `x` in the last drawing.
  nearest(x) {
    if (!this.view || !this.view.points.length) return null;
    const distance = point => Math.abs(this.view.x(point.at) - x);
    return this.view.points.reduce((best, point) => distance(point) < distance(best) ? point : best).at;
  }

  // `view`: {points, latest, from, to, cursor, marks, away}. Times are in milliseconds. `points`
  // are the points between `from` and `to`. `cursor` is one of them, or null.
  show(view) {
    const series = this.spec.series(view.points);
    const values = series.map(({of}) => view.points.map(of));
    const known = values.flat().filter(value => value !== null);
    const max = Math.max(this.spec.least || 0, ...known);
    const [unit, size] = unitOf(this.spec.kind, max);
    // Readings have a separate unit, because they may be much smaller than the axis.
    const point = view.cursor || view.latest;
    const own = unitOf(this.spec.kind, point ? Math.max(0, ...series.map(({of}) => of(point) || 0)) : 0);
    this.read(series, point, ...own);
    say(this.time, view.cursor ? clockText(view.cursor.at) : '');
    this.plot(view, series, values, max, unit, size);
    this.describe(view, series, ...(view.cursor ? own : [unit, size]), known.length ? Math.max(...known) : null);
  }

  read(series, point, unit, size) {
    const {total, note} = this.spec;
    const row = ({name, of}, i) => {
      const value = point ? of(point) : null;
      return {label: name, className: `s${i}`, value: this.text(value, size), unit: value === null ? '' : unit};
    };
    const all = series.map(row);
    const large = total ? [row({name: '', of: total})] : all;
    if (large.length === 1) Object.assign(large[0], {label: point ? note(point) : '', className: ''});
    fit(this.readings, large, reading, showReading);
    fit(this.codes, total ? all : [], reading, showReading);
  }

  text(value, size) {
    if (value === null) return '–';
    const is_whole = this.spec.is_whole || this.spec.kind === 'bytes' && size === 1;
    return is_whole ? whole(value) : digits3(value / size);
  }

  plot(view, series, values, max, unit, size) {
    const {width, height} = this.svg.getBoundingClientRect();
    this.svg.replaceChildren();
    if (!width) return;
    const is_empty = !values.flat().some(value => value !== null);
    const ticks = is_empty ? [{value: 0, text: ''}, {value: size, text: ''}] : this.ticks(max, unit, size);
    const end = ticks[ticks.length - 1].value;
    const left = 8 + 6.3 * Math.max(...ticks.map(({text}) => text.length)), right = width - 6;
    const top = 9, bottom = height - 20;
    const x = at => left + (right - left) * (at - view.from) / (view.to - view.from);
    const y = value => bottom - (bottom - top) * value / end;
    this.view = {...view, x};

    for (const [from, to] of view.away) this.away(Math.max(x(from), left), x(to), top, bottom);
    for (const {value, text} of ticks) {
      const at = Math.round(y(value)) + 0.5;
      this.draw('line', {class: value ? 'grid' : 'base', x1: left, x2: right, y1: at, y2: at});
      this.draw('text', {x: left - 6, y: at + 3.5, 'text-anchor': 'end'}, text);
    }
    this.timeAxis(view, x, left, right, top, bottom);
    for (const {at, text} of view.marks) {
      if (x(at) >= left && x(at) <= right) this.mark(x(at), text, right, top, bottom);
    }
    // The first curve is drawn last, above the others.
    for (let i = series.length - 1; i >= 0; --i) {
      this.curve(view.points, values[i], i, series.length === 1, x, y, bottom);
    }
    if (view.cursor) this.cursor(view.cursor, series, x, y, top, bottom);
    if (is_empty || this.spec.is_empty && this.spec.is_empty()) {
      const middle = {x: (left + right) / 2, y: (top + bottom) / 2};
      this.draw('text', {...middle, class: 'message', 'text-anchor': 'middle'}, this.spec.empty);
    }
  }

  draw(tag, attributes, text = '') {
    const child = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) child.setAttribute(name, value);
    child.textContent = text;
    this.svg.appendChild(child);
  }

  // About three ticks, at round values, from 0 to the first round value that is not below `max`.
  ticks(max, unit, size) {
    const is_whole = this.spec.is_whole || unit === 'B';
    const step = Math.max(roundStep((max || size) / size / 3), is_whole ? 1 : 0);
    const count = Math.max(1, Math.ceil(max / size / step * 0.999999));
    const decimals = Math.max(0, -Math.floor(Math.log10(step * 1.000001)));
    const text = i => i ? `${fixed(i * step, decimals)}${i === count && unit ? ` ${unit}` : ''}` : '0';
    return Array.from({length: count + 1}, (_, i) => ({value: i * step * size, text: text(i)}));
  }

  // Marks a time in which no server answered.
  away(begin, end, top, bottom) {
    if (end <= begin) return;
    this.draw('rect', {class: 'away', x: begin, y: top, width: end - begin, height: bottom - top});
    if (end - begin < 64) return;
    this.draw('text', {x: (begin + end) / 2, y: (top + bottom) / 2, 'text-anchor': 'middle'}, 'no answer');
  }

  mark(x, text, right, top, bottom) {
    const is_left = x > right - 60;
    this.draw('line', {class: 'mark', x1: x, x2: x, y1: top, y2: bottom});
    this.draw('text', {x: x + (is_left ? -4 : 4), y: top + 9, 'text-anchor': is_left ? 'end' : 'start'}, text);
  }

  // Draws ticks at round times of the day, as many as fit.
  timeAxis({from, to}, x, left, right, top, bottom) {
    const has_seconds = to - from < 300e3, room = has_seconds ? 56 : 38;
    const step = [15e3, 30e3, 60e3, 120e3, 300e3].find(time => x(from + time) - left >= room) || 600e3;
    for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
      const middle = Math.round(x(at)) + 0.5;
      this.draw('line', {class: 'grid', x1: middle, x2: middle, y1: top, y2: bottom + 3});
      if (middle - room / 2 < Math.max(left - 24, 0) || middle + room / 2 > right + 10) continue;
      const text = clockText(at).slice(0, has_seconds ? 8 : 5);
      this.draw('text', {x: middle, y: bottom + 15, 'text-anchor': 'middle'}, text);
    }
  }

  // Draws a line, which breaks where a point has no value, and where samples are missing. A value
  // between two breaks becomes a dot.
  curve(points, values, index, has_area, x, y, bottom) {
    const runs = [];
    let run = null;
    points.forEach((point, i) => {
      if (values[i] === null || point.is_after_gap) run = null;
      if (values[i] === null) return;
      if (!run) runs.push(run = []);
      run.push({x: x(point.at).toFixed(1), y: y(values[i]).toFixed(1)});
    });
    const lines = runs.map(places => places.map(place => `${place.x} ${place.y}`).join('L'));
    if (has_area) {
      const areas = runs.map((places, i) => `M${places[0].x} ${bottom}L${lines[i]}V${bottom}Z`);
      this.draw('path', {class: 'area', d: areas.join('')});
    }
    const ends = runs.map((places, i) => `M${lines[i]}${places.length === 1 ? 'h.1' : ''}`);
    this.draw('path', {class: `curve s${index}`, d: ends.join('')});
  }

  cursor(point, series, x, y, top, bottom) {
    const middle = x(point.at);
    this.draw('line', {class: 'cursor', x1: middle, x2: middle, y1: top, y2: bottom});
    series.forEach(({of}, i) => {
      const value = of(point);
      if (value !== null) this.draw('circle', {class: `dot s${i}`, cx: middle, cy: y(value), r: 3.5});
    });
  }

  // Describes the chart for readers who do not see the curve.
  describe({points, cursor}, series, unit, size, highest) {
    const text = value => value === null ? 'none' : `${this.text(value, size)} ${unit}`.trim();
    const at_cursor = () => series.map(({name, of}) => `${name} ${text(of(cursor))}`.trim()).join(', ') || 'none';
    const last = Math.max(points.length - 1, 0);
    const says = {
      min: 0, max: last, now: cursor ? points.indexOf(cursor) : last,
      text: cursor ? `${clockText(cursor.at)}: ${at_cursor()}`
        : highest === null ? 'no values' : `highest ${text(highest)}`,
    };
    for (const [name, value] of Object.entries(says)) this.svg.setAttribute(`aria-value${name}`, value);
  }
}
