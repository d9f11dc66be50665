/** What a comment may hold of HTML: what views of ours write. */
const TAGS =
  /^<\/?(?:details|summary|br|hr|b|i|em|strong|code|pre|sub|sup|kbd|p|ul|ol|li|table|thead|tbody|tr|td|th)(?: open| align="[a-z]+")* ?\/?>/i;

const UNSEEN = '\u200B';

const NOTE = '_Written by a run without secrets on the files of this pull request; nobody has verified the text above._';

/**
 * Markdown that somebody else wrote, as a comment of ours may show it: it calls nobody, loads nothing, hides nothing, leads
 * nowhere under another name than its own, and gives no commands to bots. `home` is the address that links may lead to.
 */
export function tamed(markdown: string, home: string | null): string {
  const text = markdown
    .replaceAll('\r\n', '\n')
    // Direction marks and control characters make text look like other text.
    .replaceAll(/[\p{Cc}\u200E\u200F\u202A-\u202E\u2066-\u2069]/gu, (character) => (/[\n\t]/.test(character) ? character : ''))
    .replaceAll(/<!--[\s\S]*?(?:-->|$)/g, '')
    .replaceAll(/<[^\n>]*>?/g, (tag) => (TAGS.test(tag) ? tag : tag.replace('<', '&lt;')))
    .replaceAll('![', `!${UNSEEN}[`)
    .replaceAll(/\]\(\s*([^)\s]*)/g, (link, target: string) => (leadsHome(target, home) ? link : link.replace('](', `]${UNSEEN}(`)))
    .replaceAll(/^(\s{0,3}(?:>\s*)*)\[([^\]\n]+)\]:/gm, `$1[$2]${UNSEEN}:`)
    .replaceAll(/@(?=[A-Za-z0-9])/g, `@${UNSEEN}`)
    .replaceAll(/^(\s*)\//gm, `$1${UNSEEN}/`)
    .trim();
  return `${text}\n\n${NOTE}\n`;
}

function leadsHome(target: string, home: string | null): boolean {
  return target.startsWith('#') || (home !== null && target.startsWith(`${home}/`) && !/\/\.\.?(\/|$)|%2e/i.test(target));
}
