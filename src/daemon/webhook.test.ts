import { describe, expect, it } from 'vitest';
import { isPushTo, isSigned } from './webhook.ts';

const body = Buffer.from('Hello, World!');
/** The example of GitHub's documentation of webhooks. */
const SECRET = "It's a Secret to Everybody";
const HEX = '757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17';

describe('a push', () => {
  it.each([
    ['GitHub', { 'x-hub-signature-256': `sha256=${HEX}` }],
    ['Gitea', { 'x-gitea-signature': HEX }],
    ['Forgejo', { 'x-forgejo-signature': HEX.toUpperCase() }],
  ])('of %s is taken with its signature', (_name, headers) => {
    expect(isSigned(SECRET, headers, body)).toBe(true);
    expect(isSigned('another', headers, body)).toBe(false);
    expect(isSigned(SECRET, headers, Buffer.from('Hello, World?'))).toBe(false);
  });

  it.each([
    ['none', {}],
    ['an empty one', { 'x-hub-signature-256': '' }],
    ['one without its digits', { 'x-hub-signature-256': 'sha256=' }],
    ['one that is cut short', { 'x-gitea-signature': HEX.slice(0, 62) }],
    ['one with more behind it', { 'x-gitea-signature': `${HEX}00` }],
    ['SHA-1', { 'x-hub-signature': 'sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59' }],
  ])('with %s as signature is refused', (_name, headers) => {
    expect(isSigned(SECRET, headers, body)).toBe(false);
  });

  it.each([
    ['the declared branch', 'main', {}, '{"ref":"refs/heads/main"}', true],
    ['another branch', 'main', {}, '{"ref":"refs/heads/topic"}', false],
    ['a tag of that name', 'main', {}, '{"ref":"refs/tags/main"}', false],
    ['a branch while none is known', null, {}, '{"ref":"refs/heads/topic"}', true],
    ['a form', 'main', {}, 'payload=%7B%7D', true],
    ['nothing', 'main', { 'x-github-event': 'ping' }, '{}', false],
  ])('to %s', (_name, branch, headers, text, expected) => {
    expect(isPushTo(branch, headers, Buffer.from(text))).toBe(expected);
  });
});
