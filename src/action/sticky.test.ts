import { afterEach, describe, expect, it } from 'vitest';
import { startRestApi } from '#test/support/rest-api.ts';
import type { RestApi, RestApiOptions } from '#test/support/rest-api.ts';
import { makeRest } from './rest.ts';
import type { Rest } from './rest.ts';
import { bodyOf, postSticky, readState, textIn } from './sticky.ts';
import type { StickyRequest } from './sticky.ts';

const MARKER = '<!-- headgate:comment path=. -->';
const [OLD, NEW] = ['a'.repeat(40), 'b'.repeat(40)];

let api: RestApi;
const pauses: number[] = [];

afterEach(async () => {
  pauses.length = 0;
  await api.close();
});

async function start(options?: RestApiOptions): Promise<Rest> {
  api = await startRestApi(options);
  api.pulls.set(7, { head: { sha: NEW, repo: { full_name: 'upland/fleet' } } });
  const clock = { now: () => Date.now(), monotonicMs: () => 0, sleep: (ms: number) => (pauses.push(ms), Promise.resolve()) };
  return makeRest({ api: api.url, token: 'secret-token', clock, signal: new AbortController().signal });
}

function request(text: string, more: { readonly head?: string; readonly run?: bigint; readonly command?: string } = {}): StickyRequest {
  const { head = NEW, run = 5n, command = 'plan' } = more;
  const state = { head, run, attempt: 1, command, pull: 7 };
  return { repository: 'upland/fleet', pull: 7, marker: MARKER, text: `${MARKER}\n${text}\n`, state };
}

function bodies(): readonly string[] {
  return (api.comments.get(7) ?? []).map(({ body }) => textIn(body));
}

const ADA = { login: 'ada', id: 1, type: 'User' };

describe('the one comment', () => {
  it('is made, left alone when it says the same, changed when it does not, and made again when it was deleted', async () => {
    const rest = await start();
    expect(await postSticky(rest, request('one'))).toEqual({ ok: true, value: 'created' });
    api.taken();
    expect(await postSticky(rest, request('one', { run: 6n }))).toEqual({ ok: true, value: 'unchanged' });
    expect(api.taken()).toEqual(['GET /repos/upland/fleet/issues/7/comments']);
    expect(await postSticky(rest, request('two'))).toEqual({ ok: true, value: 'updated' });
    expect(bodies()).toEqual([`${MARKER}\ntwo`]);
    api.comments.clear();
    expect(await postSticky(rest, request('two'))).toEqual({ ok: true, value: 'created' });
    expect(bodies()).toEqual([`${MARKER}\ntwo`]);
  });

  it('is found on a later page', async () => {
    const rest = await start({ pageSize: 3 });
    const others = Array.from({ length: 7 }, (_, index) => ({ id: 100 + index, body: `word ${index}`, user: ADA }));
    await postSticky(rest, request('one'));
    api.comments.set(7, [...others, ...(api.comments.get(7) ?? [])]);
    expect(await postSticky(rest, request('two'))).toEqual({ ok: true, value: 'updated' });
    expect(api.comments.get(7)).toHaveLength(8);
  });

  it('is not that of another folder, of somebody who copied it, or of one who quotes it', async () => {
    const rest = await start();
    const north = `<!-- headgate:comment path=north -->\nnorth`;
    const there = [
      { id: 50, body: north, user: { login: 'github-actions[bot]', id: 2, type: 'Bot' } },
      { id: 51, body: `${MARKER}\nmine now`, user: ADA },
      { id: 52, body: `> ${MARKER}\nquoted`, user: { login: 'github-actions[bot]', id: 2, type: 'Bot' } },
    ];
    api.comments.set(7, there);
    expect(await postSticky(rest, request('one'))).toEqual({ ok: true, value: 'created' });
    expect(bodies()).toEqual([north, `${MARKER}\nmine now`, `> ${MARKER}\nquoted`, `${MARKER}\none`]);
  });

  it('is our own when the token is that of a person', async () => {
    const rest = await start({ self: ADA, knowsSelf: true });
    await postSticky(rest, request('one'));
    expect(await postSticky(rest, request('two'))).toEqual({ ok: true, value: 'updated' });
    expect(bodies()).toEqual([`${MARKER}\ntwo`]);
  });

  it('is that of the runner on Gitea, which says nothing of bots, knows no pages, and lies elsewhere', async () => {
    const rest = await start({ prefix: '/api/v1', self: { login: 'gitea-actions', id: -2 } });
    await postSticky(rest, request('one'));
    expect(await postSticky(rest, request('two'))).toEqual({ ok: true, value: 'updated' });
    expect(bodies()).toEqual([`${MARKER}\ntwo`]);
  });

  it('is not overwritten, nor made, by the run of an older commit', async () => {
    const rest = await start();
    expect(await postSticky(rest, request('old', { head: OLD }))).toEqual({ ok: true, value: 'outdated' });
    await postSticky(rest, request('new'));
    expect(await postSticky(rest, request('old', { head: OLD, run: 9n }))).toEqual({ ok: true, value: 'outdated' });
    expect(bodies()).toEqual([`${MARKER}\nnew`]);
  });

  it('goes by the numbers of runs where the server does not tell the commit', async () => {
    const rest = await start();
    api.pulls.clear();
    await postSticky(rest, request('new', { run: 9n }));
    expect(await postSticky(rest, request('old', { head: OLD, run: 5n }))).toEqual({ ok: true, value: 'outdated' });
    expect(await postSticky(rest, request('newer', { head: OLD, run: 10n }))).toEqual({ ok: true, value: 'updated' });
  });

  it('stays one when two runs begin together', async () => {
    const rest = await start();
    const answers = await Promise.all(Array.from({ length: 8 }, (_, index) => postSticky(rest, request(`text ${index}`))));
    expect(answers.every(({ ok }) => ok)).toBe(true);
    expect(bodies()).toHaveLength(1);
  });

  it('is not made twice when the answer to its making was lost', async () => {
    const rest = await start();
    api.faults.push({ match: /^POST /, fault: { status: 502, done: true } });
    expect((await postSticky(rest, request('one'))).ok).toBe(true);
    expect(bodies()).toEqual([`${MARKER}\none`]);
  });

  it('is made again when it goes away while it is changed', async () => {
    const rest = await start();
    await postSticky(rest, request('one'));
    api.faults.push({ match: /^PATCH /, fault: { status: 404 } });
    expect(await postSticky(rest, request('two'))).toEqual({ ok: true, value: 'updated' });
  });

  it('is only touched by validate where validate spoke before', async () => {
    const rest = await start();
    const valid = { ...request('valid', { command: 'validate' }), onlyAfter: 'validate' };
    expect(await postSticky(rest, valid)).toEqual({ ok: true, value: 'nothing to say' });
    await postSticky(rest, request('a plan'));
    expect(await postSticky(rest, valid)).toEqual({ ok: true, value: 'nothing to say' });
    await postSticky(rest, request('mistakes', { command: 'validate' }));
    expect(await postSticky(rest, valid)).toEqual({ ok: true, value: 'updated' });
    expect(bodies()).toEqual([`${MARKER}\nvalid`]);
  });
});

describe('a server that says no', () => {
  it.each([
    ['Retry-After in seconds', 403, { 'retry-after': '3' }, 3000],
    ['too many requests without a word', 429, {}, 1000],
    ['an allowance that is used up', 403, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '0' }, 0],
  ])('is waited for: %s', async (_name, status, headers, pause) => {
    const rest = await start();
    api.faults.push({ match: /^POST /, fault: { status, headers } });
    expect(await postSticky(rest, request('one'))).toEqual({ ok: true, value: 'created' });
    expect(pauses).toEqual([pause]);
    expect(bodies()).toHaveLength(1);
  });

  it('is not waited for longer than a minute', async () => {
    const rest = await start();
    api.faults.push({ match: /^GET /, fault: { status: 429, headers: { 'retry-after': '3600' } } });
    expect(await postSticky(rest, request('one'))).toMatchObject({ ok: false, error: { code: 'RATE_LIMITED' } });
    expect(pauses).toEqual([]);
  });

  it.each([
    [403, 'FORBIDDEN'],
    [401, 'FORBIDDEN'],
    [404, 'NOT_FOUND'],
    [422, 'REFUSED'],
    [301, 'REFUSED'],
  ])('answers HTTP %d once: %s', async (status, code) => {
    const rest = await start();
    api.faults.push({ match: /^GET /, fault: { status, headers: { 'x-ratelimit-remaining': '10' } } });
    expect(await postSticky(rest, request('one'))).toMatchObject({ ok: false, error: { code } });
    expect(api.calls).toHaveLength(1);
  });

  it('is asked four times when it is broken', async () => {
    const rest = await start();
    for (let time = 0; time < 5; time += 1) api.faults.push({ match: /^GET /, fault: { status: 500 } });
    expect(await postSticky(rest, request('one'))).toMatchObject({ ok: false, error: { code: 'UNREACHABLE' } });
    expect(pauses).toEqual([1000, 2000, 4000]);
  });
});

describe('the last line', () => {
  it('comes back as it was written', () => {
    const { state } = request('one', { run: 12_345_678_901_234n });
    expect(readState(bodyOf(request('one', { run: 12_345_678_901_234n })))).toEqual(state);
    const unknown = { head: null, run: 0n, attempt: 1, command: 'plan', pull: null };
    expect(readState(bodyOf({ text: 'x', state: unknown }))).toEqual(unknown);
  });

  it('is none in the middle of a text, or with more after it', () => {
    const body = bodyOf(request('one'));
    expect(readState(`${body}more`)).toBeNull();
    expect(readState(body.replace('run=5.1', 'run=5'))).toBeNull();
    expect(textIn(body.replaceAll('\n', '\r\n'))).toBe(`${MARKER}\none`);
  });
});
