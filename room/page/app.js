// The room's page: one session's cars, laps and live values over pitbox.view.v1 (ROOM.md). Names come
// from cars and go into the page as text only. Without a key where the server needs none.
'use strict';

const byId = (id) => document.getElementById(id);
const kSilentMs = 6000;       // A page that hears nothing for so long is not connected.
const kStaleMs = 3000;        // A value older than this is shown faded.
const kLapsShown = 300;
const kEventsShown = 50;
const kOfflineAfter = 5;      // Failed attempts in a row.
const kBackoffMaxMs = 10000;

const model = {
  session: '', selected: '', needsKey: false, key: sessionStorage.getItem('key') || '',
  laps: new Map(), cars: new Map(), live: new Map(), events: [], state: null,
};
const link = { socket: null, failures: 0, heardAt: 0, openedAt: 0, timer: 0, generation: 0, error: '' };

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// 92345 -> "1:32.345"; minutes do not roll into hours.
function lapTime(ms) {
  if (!Number.isFinite(ms) || ms <= 0) return '–';
  const seconds = Math.floor(ms / 1000) % 60;
  return `${Math.floor(ms / 60000)}:${String(seconds).padStart(2, '0')}.${String(ms % 1000).padStart(3, '0')}`;
}

function clock(ms) {
  return ms > 0 ? new Date(ms).toLocaleTimeString('en-GB') : '';
}

// Whole numbers stay whole, as long as their channel never said anything else.
function amount(value, whole) {
  if (whole) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e7 || size < 1e-3)) return value.toExponential(3);
  return value.toFixed(size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3);
}

function bytes(count) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) { count /= 1000; ++unit; }
  return `${unit === 0 ? count : count.toFixed(1)} ${units[unit]}`;
}

// --- What the laps say -----------------------------------------------------------------------

function addLap(lap) {
  const key = `${lap.car}\n${lap.lap}`;
  const known = model.laps.get(key);
  if (!known || lap.revision >= known.revision) model.laps.set(key, lap);
  touchCar(lap.car);
}

function touchCar(car) {
  if (car !== '' && !model.cars.has(car)) model.cars.set(car, true);
}

const least = (a, b) => (b > 0 && (!(a > 0) || b < a) ? b : a);

// Fastest of the session and of each car, laps and sectors; timed laps only.
function findBests() {
  const fastest = { lap: 0, sectors: [] };
  const cars = new Map();
  for (const lap of model.laps.values()) {
    if (!cars.has(lap.car)) cars.set(lap.car, { lap: 0, sectors: [], last: null, count: 0 });
    const own = cars.get(lap.car);
    if (lap.lap > 0) ++own.count;
    if (lap.kind !== 'timed') continue;
    if (!own.last || lap.lap > own.last.lap) own.last = lap;
    for (const best of [fastest, own]) {
      best.lap = least(best.lap, lap.lapTimeMs);
      lap.sectorTimeMs.forEach((ms, i) => { best.sectors[i] = least(best.sectors[i], ms); });
    }
  }
  return { fastest, cars };
}

function colour(ms, fastest, own) {
  if (!(ms > 0)) return '';
  return ms === fastest ? 'fastest' : ms === own ? 'best' : '';
}

// --- Drawing ---------------------------------------------------------------------------------

let drawing = false;
const dirty = { laps: false, live: false, events: false };
function draw(part) {
  dirty[part] = true;
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    if (dirty.laps) { drawCars(); drawLaps(); }
    if (dirty.live) drawLive();
    if (dirty.events) drawEvents();
    dirty.laps = dirty.live = dirty.events = false;
  });
}

function drawCars() {
  const { fastest, cars } = findBests();
  const numbers = [...model.cars.keys()].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  if (model.selected !== '' && !model.cars.has(model.selected)) model.selected = '';
  byId('cars').replaceChildren(...numbers.map((car) => {
    const own = cars.get(car) || { lap: 0, last: null, count: 0 };
    const card = element('button', undefined, 'car');
    card.setAttribute('aria-pressed', String(car === model.selected));
    const title = element('span', undefined, 'title');
    title.append(element('span', car, 'number'), element('span', `${own.count} laps`, 'quiet'));
    card.append(title);
    const list = element('dl');
    const last = own.last ? own.last.lapTimeMs : 0;
    list.append(element('dt', 'Last'), element('dd', lapTime(last), `time ${colour(last, fastest.lap, own.lap)}`));
    list.append(element('dt', 'Best'), element('dd', lapTime(own.lap), `time ${colour(own.lap, fastest.lap, own.lap)}`));
    card.append(list);
    card.onclick = () => {
      model.selected = model.selected === car ? '' : car;
      draw('laps'); draw('live');
    };
    return card;
  }));
}

function drawLaps() {
  const { fastest, cars } = findBests();
  byId('laps-of').textContent = model.selected === '' ? '' : `of car ${model.selected}`;
  const laps = [...model.laps.values()]
      .filter((lap) => model.selected === '' || lap.car === model.selected)
      .sort((a, b) => b.startedAt - a.startedAt || b.lap - a.lap).slice(0, kLapsShown);
  byId('no-laps').hidden = laps.length > 0;
  byId('laps').hidden = laps.length === 0;
  byId('laps').tBodies[0].replaceChildren(...laps.map((lap) => {
    const own = cars.get(lap.car);
    const timed = lap.kind === 'timed';
    const row = element('tr');
    const sectors = element('td', undefined, 'sectors time');
    lap.sectorTimeMs.forEach((ms, i) => {
      sectors.append(element('span', lapTime(ms), timed ? colour(ms, fastest.sectors[i], own.sectors[i]) : ''));
    });
    row.append(element('td', lap.car), element('td', String(lap.lap)),
        element('td', lapTime(lap.lapTimeMs), `time ${timed ? colour(lap.lapTimeMs, fastest.lap, own.lap) : 'quiet'}`),
        sectors, element('td', lap.kind, 'quiet'), element('td', clock(lap.startedAt), 'quiet time'));
    return row;
  }));
}

function drawLive() {
  const now = Date.now();
  const only = model.selected;
  byId('live-of').textContent = only === '' ? '' : `car ${only}`;
  const rows = [];
  for (const car of [...model.live.keys()].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))) {
    if (only !== '' && car !== only) continue;
    for (const [channel, value] of model.live.get(car)) {
      const row = element('tr', undefined, now - value.at > kStaleMs ? 'stale' : '');
      row.append(element('td', only === '' ? `${car} · ${channel}` : channel),
          element('td', amount(value.value, value.whole), 'value'), element('td', value.unit, 'unit'));
      rows.push(row);
    }
  }
  byId('no-live').hidden = rows.length > 0;
  byId('live').tBodies[0].replaceChildren(...rows);
}

function eventText(event) {
  const car = event.car === '' ? '' : ` car ${event.car}`;
  if (event.event === 'gap') {
    const count = event.count === null ? 'an unknown number of' : event.count;
    return `Lost${car}: ${count} ${event.unit} from ${event.source} (${event.reason})`;
  }
  if (event.event === 'tombstone') return `No longer there: ${event.records} records (${event.reason})`;
  if (event.event === 'mark') return `Mark${car}: ${event.text}`;
  return event.event.replace('_', ' ');
}

function drawEvents() {
  byId('events').replaceChildren(...model.events.map((event) => {
    const loss = event.event === 'gap' || event.event === 'tombstone';
    return element('li', `${clock(event.at)}  ${eventText(event)}`, loss ? 'loss' : '');
  }));
}

function drawState() {
  const state = model.state;
  const footer = byId('state');
  footer.replaceChildren();
  if (!state) return;
  const words = [state.box ? 'Box connected' : 'Box not connected',
    `${state.batches} batches`, `${state.events} events`, bytes(state.bytes)];
  if (state.complete) words.push('Complete');
  footer.append(element('span', words.join(' · ')));
  if (state.conflicts > 0) footer.append(element('span', ` · ${state.conflicts} conflicts`, 'alarm'));
}

function drawPill() {
  const silent = Date.now() - link.heardAt > kSilentMs;
  const online = link.socket !== null && link.openedAt > 0 && !silent;
  const name = online ? 'online' : link.failures >= kOfflineAfter ? 'offline' : 'reconnecting';
  byId('pill').className = `pill ${name}`;
  byId('pill-text').textContent = { online: 'Online', offline: 'Offline', reconnecting: 'Reconnecting' }[name];
  byId('pill').title = link.heardAt > 0 ? `Room last heard at ${clock(link.heardAt)}` : 'Room not heard yet';
  byId('banner').hidden = name !== 'offline' || link.error === '';
  byId('banner').textContent = link.error;
}

// --- The link --------------------------------------------------------------------------------

function headers() {
  return model.key === '' ? {} : { 'X-API-Key': model.key };
}

async function call(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: headers(), signal: AbortSignal.timeout(5000) });
  if (answer.status === 401) askForKey();
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer.json();
}

function askForKey() {
  model.needsKey = true;
  byId('key-form').hidden = false;
  byId('key-error').textContent = model.key === '' ? '' : 'The key was refused.';
}

function forget() {
  for (const part of [model.laps, model.cars, model.live]) part.clear();
  model.events = [];
  model.state = null;
  drawState();
  for (const part of ['laps', 'live', 'events']) draw(part);
}

function open(session) {
  if (session !== model.session) {
    model.session = session;
    forget();
    location.hash = session;
    link.failures = 0;
  }
  ++link.generation;
  clearTimeout(link.timer);
  if (link.socket) link.socket.close();
  link.socket = null;
  link.openedAt = 0;
  if (session !== '') dial(link.generation);
}

async function dial(generation) {
  try {
    let query = '';
    if (model.key !== '' || model.needsKey) {
      query = `?ticket=${encodeURIComponent((await call('/tickets', { method: 'POST' })).ticket)}`;
    }
    if (generation !== link.generation) return;
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    const socket = new WebSocket(`${scheme}://${location.host}/rooms/${model.session}${query}`, 'pitbox.view.v1');
    link.socket = socket;
    link.heardAt = link.heardAt || Date.now();
    socket.onmessage = (message) => {
      if (generation !== link.generation) return;
      if (link.openedAt === 0) link.openedAt = Date.now();
      link.failures = 0;
      link.heardAt = Date.now();
      hear(JSON.parse(message.data));
    };
    socket.onclose = (event) => retry(generation, `The room closed the connection: ${event.code} ${event.reason}`);
  } catch (error) {
    retry(generation, String(error.message || error));
  }
}

function retry(generation, error) {
  if (generation !== link.generation) return;
  link.socket = null;
  link.openedAt = 0;
  link.error = error;
  ++link.failures;
  drawPill();
  const delay = Math.min(kBackoffMaxMs, 250 * 2 ** Math.min(link.failures, 6)) * (0.5 + Math.random() / 2);
  link.timer = setTimeout(() => { if (generation === link.generation) dial(generation); }, delay);
}

function hear(message) {
  switch (message.type) {
    case 'welcome':
      byId('session-note').textContent = '';
      model.laps.clear();
      break;
    case 'laps':
      message.laps.forEach(addLap);
      draw('laps');
      break;
    case 'lap':
      addLap(message.lap);
      draw('laps');
      break;
    case 'event':
      model.events.unshift({ ...message, at: Date.now() });
      model.events.length = Math.min(model.events.length, kEventsShown);
      draw('events');
      break;
    case 'live': {
      if (!model.cars.has(message.car)) { touchCar(message.car); draw('laps'); }
      if (!model.live.has(message.car)) model.live.set(message.car, new Map());
      const car = model.live.get(message.car);
      for (const { channel, unit, value } of message.values) {
        const known = car.get(channel);
        const whole = Number.isInteger(value) && (!known || known.whole);
        car.set(channel, { unit, value, whole, at: Date.now() });
      }
      draw('live');
      break;
    }
    case 'state':
      model.state = message;
      drawState();
      break;
    case 'goodbye':
      link.error = `The room said goodbye: ${message.reason}`;
      break;
  }
  drawPill();
}

async function listSessions() {
  const { sessions } = await call('/api/sessions');
  const list = byId('sessions');
  const wanted = sessions.map((s) => [s.id, `${s.name || s.id.slice(0, 8)}${s.type ? ` (${s.type})` : ''}${s.box ? ' ●' : ''}`]);
  const shown = [...list.options].map((option) => [option.value, option.textContent]);
  if (JSON.stringify(wanted) !== JSON.stringify(shown)) {
    list.replaceChildren(...wanted.map(([id, text]) => {
      const option = element('option', text);
      option.value = id;
      return option;
    }));
  }
  if (model.session === '' && sessions.length > 0) {
    const hash = location.hash.slice(1);
    const chosen = sessions.find((s) => s.id === hash) || sessions.find((s) => s.box) || sessions[0];
    open(chosen.id);
  }
  list.value = model.session;
  byId('key-form').hidden = true;
  if (model.needsKey) sessionStorage.setItem('key', model.key);
}

async function tick() {
  try {
    // Until the server has let us in there is nothing to ask it for every few seconds but that.
    if (byId('key-form').hidden) await listSessions();
  } catch (error) {
    link.error = String(error.message || error);
  }
  setTimeout(tick, 3000);
}

byId('sessions').onchange = (event) => open(event.target.value);
byId('pill').onclick = () => { byId('session-note').textContent = byId('pill').title; };
byId('key-form').onsubmit = (event) => {
  event.preventDefault();
  model.key = byId('key').value.trim();
  listSessions().then(() => open(model.session)).catch(() => {});
};
setInterval(() => {
  drawPill();
  if (model.live.size > 0) draw('live');
  // A socket that is open and silent is dead: the room says its state every 2 s.
  if (link.socket && link.openedAt > 0 && Date.now() - link.heardAt > kSilentMs) open(model.session);
}, 1000);
draw('laps'); draw('live');
tick();
