// --- Key sets -------------------------------------------------------------------------------------

const RATE_MS_MAX = (NOW_SAMPLES + 0.5) * 1000;  // about the time that large numbers of charts cover
const NAME_WIDTH_MIN = 160;  // px; shows about 20 characters, enough to tell most names apart
const answers = [];  // those of the last RATE_MS_MAX, for rates: {at, served}; served maps names to requests

const shapeText = tensor => tensor ? tensor.shape.map(whole).join(' × ') : '–';
const rowsOf = ({keys}) => keys.shape[keys.shape.length - 2];
function typeText({keys, values}) {
  return values && values.data_type !== keys.data_type ? `${keys.data_type}, ${values.data_type}` : keys.data_type;
}

// Returns the requests a second since the oldest of `answers` that has the set. Returns null if
// that answer is too recent, or if the set was put anew and counts from 0 again.
function rateOf(set, now) {
  const then = answers.find(answer => answer.served.has(set.name));
  if (!then || now - then.at < 500) return null;
  const grown = set.requests_served - then.served.get(set.name);
  return grown < 0 ? null : grown / (now - then.at) * 1000;
}

function remember(sets, now) {
  const served = sets.filter(set => set.version !== null).map(set => [set.name, set.requests_served]);
  answers.push({at: now, served: new Map(served)});
}

// Returns texts for the numbers of one column. All have the same number of decimals, so that they
// line up.
function lineUp(values, size = 1) {
  const digits = values.every(value => value === null || value / size < 100) ? 1 : 0, least = 10 ** -digits;
  return values.map(value => {
    if (value === null) return '–';
    return value > 0 && value / size < least / 2 ? `<${fixed(least, digits)}` : fixed(value / size, digits);
  });
}

// The columns after the name: {label, about, texts}, with one text for each set.
function columnsOf(sets, now) {
  // Reads a value of each set. The value is null if no version of the set is served.
  const each = read => sets.map(set => set.version === null ? null : read(set));
  const texts = read => each(read).map(text => text ?? '–');
  const bytes = each(set => set.memory_bytes);
  const [unit, size] = unitOf('bytes', Math.max(0, ...bytes));
  return [
    {label: 'version', className: 'wide', texts: texts(set => String(set.version))},
    {label: 'rows', about: 'Rows of each matrix: the keys that a query is scored against.',
     texts: texts(set => whole(rowsOf(set)))},
    {label: 'keys', className: 'text wide', about: 'Shape: batch and heads, if it has them; rows; elements.',
     texts: texts(set => shapeText(set.keys))},
    {label: 'values', className: 'text wide', about: 'Shape of the values, if it has them.',
     texts: texts(set => shapeText(set.values))},
    {label: 'type', className: 'text', texts: texts(typeText)},
    {label: `memory, ${unit}`, about: 'Memory of the newest version.', texts: lineUp(bytes, size)},
    {label: 'requests', about: 'Score requests answered with OK.', texts: texts(set => whole(set.requests_served))},
    {label: 'a second', about: 'The same, a second.', texts: lineUp(each(set => rateOf(set, now)))},
  ];
}

// Roles are set, because a narrow page lays the table out as blocks, and blocks do not have the
// roles of a table. See fitTable().
function cell(tag, role) {
  const made = document.createElement(tag);
  made.setAttribute('role', role);
  return made;
}

function row() {
  const made = cell('tr', 'row');
  made.append(element('key_set_name').content.cloneNode(true));
  return made;
}

// Shows a long name cut in its middle, because names often differ at their ends. The elements keep
// the whole text.
function showName(head, {name, problem}) {
  const [cut, reason] = head.children;
  const tail = Math.min(12, Math.floor(name.length / 2));
  say(cut.firstElementChild, name.slice(0, name.length - tail));
  say(cut.lastElementChild, name.slice(name.length - tail));
  cut.title = name;
  say(reason, problem || '');
}

function showCell(made, column, text) {
  say(made, text);
  made.classList.value = column.className || '';
  made.classList.toggle('none', text === '–');
  made.classList.toggle('all_none', !!column.is_empty);
  made.dataset.label = column.label;
}

// Lays the table out as blocks if its columns leave too little room for names. CSS alone cannot
// know, because the widths depend on the shapes. The card keeps its height while the table is
// measured, so that the page does not scroll.
function fitTable() {
  const table = element('key_sets'), card = table.parentElement;
  if (table.hidden) return;
  card.style.minHeight = `${card.offsetHeight}px`;
  table.classList.remove('blocks');
  // If the other columns are wide, the column of names becomes narrower than the minimum.
  table.classList.toggle('blocks', element('key_set_head').firstElementChild.offsetWidth < NAME_WIDTH_MIN);
  card.style.minHeight = '';
}

// A cut name is copied whole. Without this its two parts would be copied as two lines.
document.addEventListener('copy', event => {
  const selected = String(getSelection());
  let text = selected;
  for (const {children: [head, tail], title} of document.querySelectorAll('.cut')) {
    if (tail.textContent) text = text.replaceAll(`${head.textContent}\n${tail.textContent}`, () => title);
  }
  if (text === selected) return;
  event.clipboardData.setData('text/plain', text);
  event.preventDefault();
});

function showTable(sets, now) {
  const columns = columnsOf(sets, now);
  for (const column of columns) column.is_empty = column.texts.every(text => text === '–');
  fit(element('key_set_head'), [{label: 'name', className: 'name text'}, ...columns], () => cell('th', 'columnheader'),
      (made, column) => {
        showCell(made, column, column.label);
        made.title = column.about || '';
      });
  fit(element('key_set_rows'), sets, row, (made, set, i) => {
    const [head, ...cells] = made.children;
    while (cells.length < columns.length) cells.push(made.appendChild(cell('td', 'cell')));
    made.className = set.version === null ? 'not_served' : '';
    showName(head, set);
    columns.forEach((column, c) => showCell(cells[c], column, column.texts[i]));
  });
  fitTable();
}

// `key_sets` is null while key sets are being loaded.
function showKeySets(key_sets, now) {
  const {shown, count, with_problems, bytes, bytes_max} = key_sets || {shown: [], count: 0};
  const problems = with_problems ? `, ${whole(with_problems)} with problems` : '';
  say(element('key_sets_note'),
      key_sets ? `${plural(count, 'set')}, ${bytesText(bytes)} of ${bytesText(bytes_max)}${problems}` : 'being loaded');
  element('key_sets').hidden = !shown.length;
  element('key_sets_empty').hidden = !key_sets || count > 0;
  const more = count - shown.length;
  say(element('left_out'), more > 0 ? `and ${whole(more)} more; these are the first by name` : '');
  // The server's clock may step back, or another server may answer.
  if (answers.length && now < answers[answers.length - 1].at) answers.length = 0;
  while (answers.length && now - answers[0].at > RATE_MS_MAX) answers.shift();
  showTable(shown, now);
  remember(shown, now);
}
