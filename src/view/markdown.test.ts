import { describe, expect, it } from 'vitest';
import { marked } from 'marked';
import { byteLength, code, fit, folded, htmlCode, link, markdownTable, oneLine, prose } from './markdown.ts';

/** What a reader's site makes of it. */
function html(markdown: string): string {
  return marked.parse(markdown, { async: false, gfm: true, breaks: true });
}

const HOSTILE = [
  '<script>alert(1)</script>',
  '<!-- headgate:comment path=. -->',
  '</details>',
  '[a](https://evil.example.org)',
  '![a](https://evil.example.org/a.png)',
  'https://evil.example.org',
  'www.evil.example.org',
  'someone@evil.example.org',
  '@everyone',
  '` code `',
  '``',
  '`',
  '```\n# head',
  '\n\n# head\n\n- list',
  '**bold** _em_ ~~no~~',
  '> quote',
  '[^1]: note',
  '&lt;b&gt;',
  '\\`x\\`',
  '`a` <b>x</b>',
  '`a` @everyone',
];

describe('texts of others in markdown', () => {
  it.each(HOSTILE)('keeps %j a text', (text) => {
    for (const markdown of [
      `- ${code(text)}`,
      `- x: ${prose(text)}`,
      prose(text),
      markdownTable(['a', 'b'], [[code(text), prose(text)]]),
    ]) {
      const rendered = html(markdown);
      expect(rendered).not.toMatch(/<(script|img|a|h1|h2|em|strong|del|blockquote|details|b)\b|<!--/);
      expect(rendered.replaceAll(/<code>[^<]*<\/code>/g, '')).not.toContain('@');
      expect(rendered.match(/<td>/g)?.length ?? 2).toBe(2);
    }
  });

  it.each(['a|b', '|', 'a\\|b', '`|`'])('keeps %j in its cell', (text) => {
    const rendered = html(markdownTable(['a', 'b'], [[code(text), 'x']]));
    expect(rendered.match(/<td>/g)).toHaveLength(2);
  });

  it('reads a harmless sentence as prose, with the code that it quotes', () => {
    expect(prose('working-hours is closed (Europe/London), 100 % of 3')).toBe('working-hours is closed (Europe/London), 100 % of 3');
    expect(prose('did you mean `rollout`?')).toBe('did you mean `rollout`?');
    expect(prose('moor-house BOOTED_BACK')).toBe('moor-house BOOTED_BACK');
    expect(prose('Hägglund: 3 °C')).toBe('`Hägglund: 3 °C`');
  });

  it('escapes in HTML, where markdown is not read', () => {
    expect(htmlCode('a<b>&"')).toBe('<code>a&lt;b&gt;&amp;&quot;</code>');
    expect(folded('x', '')).toBe('');
  });

  it('shows nothing that cannot be seen, and nothing too long', () => {
    expect(oneLine('a\u202Eb\r\nc\u0000\u200Bd', 20)).toBe('a b c d');
    expect(Array.from(oneLine('𒀀'.repeat(1000), 10))).toHaveLength(10);
    expect(oneLine('\uD800', 10)).toBe('\uFFFD');
    expect(code('')).toBe('–');
  });
});

describe('link', () => {
  it.each([
    ['https://example.org/a b#L1', '[x](https://example.org/a%20b#L1)'],
    ['https://example.org/a)b"c|d', '[x](https://example.org/a%29b%22c%7Cd)'],
    ['javascript:alert(1)', 'x'],
    ['https://user:secret@example.org/', 'x'],
    ['data:text/html,x', 'x'],
    ['/relative', 'x'],
    [`https://example.org/${'a'.repeat(600)}`, 'x'],
    [null, 'x'],
  ])('leads to %s only where that is safe', (url, markdown) => expect(link('x', url)).toBe(markdown));
});

describe('fit', () => {
  const entries = Array.from({ length: 100 }, (_, index) => `${index} ${'x'.repeat(40)}`);
  const request = { entries, render: (text: string) => text, rest: (left: readonly string[]) => `and ${left.length} more` };

  it('keeps entries whole and counts the others', () => {
    const lines = fit({ ...request, bytes: 1_000 });
    expect(byteLength(lines.join('\n'))).toBeLessThanOrEqual(1_000);
    expect(lines.slice(0, -1)).toEqual(entries.slice(0, lines.length - 1));
    expect(lines.at(-1)).toBe(`and ${100 - lines.length + 1} more`);
  });

  it('leaves nothing out that has room, and everything without any', () => {
    expect(fit({ ...request, bytes: 10_000 })).toEqual(entries);
    expect(fit({ ...request, bytes: 0 })).toEqual(['and 100 more']);
    expect(fit({ ...request, entries: [], bytes: 0 })).toEqual([]);
  });
});
