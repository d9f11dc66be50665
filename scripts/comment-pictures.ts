import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { marked } from 'marked';

const run = promisify(execFile);

/** Which recorded comment becomes which picture, how wide in CSS pixels, and how much of it is shown. */
const PICTURES = [
  { comment: 'test/comments/refused-frozen-leavers.md', picture: 'docs/images/plan-comment.png', width: 900, most: 2000 },
  { comment: 'test/comments/refused-frozen-leavers.md', picture: 'docs/images/plan-comment-phone.png', width: 390, most: 1900 },
] as const;

/** Debian's name, then others'. CHROMIUM says it where none of them is right. */
const BROWSERS = [process.env['CHROMIUM'], 'chromium', 'chromium-browser', 'google-chrome'].filter((name) => name !== undefined);

/** The look of a comment on GitHub, with fonts that every machine has. */
const STYLE = `
* { box-sizing: border-box }
body { margin: 0; padding: 16px; background: #f6f8fa; color: #1f2328; font: 14px/1.5 'Liberation Sans', Arial, sans-serif }
.comment { border: 1px solid #d1d9e0; border-radius: 6px; background: #fff; overflow: hidden }
.head { padding: 8px 16px; background: #f6f8fa; border-bottom: 1px solid #d1d9e0; color: #59636e }
.head b { color: #1f2328 }
.body { padding: 16px; overflow-wrap: break-word }
.body > :first-child { margin-top: 0 } .body > :last-child { margin-bottom: 0 }
h2 { font-size: 1.4em; margin: 20px 0 14px; padding-bottom: .3em; border-bottom: 1px solid #d1d9e0b3; line-height: 1.3 }
h3 { font-size: 1.15em; margin: 20px 0 12px; line-height: 1.3 }
p, ul, table, details, .alert { margin: 0 0 14px } ul { padding-left: 1.6em } li > ul { margin: 0 } li + li { margin-top: .2em }
a { color: #0969da; text-decoration: none }
code { padding: .2em .4em; font: 85% 'Liberation Mono', monospace; background: #818b981f; border-radius: 6px }
table { border-collapse: collapse; display: block; width: max-content; max-width: 100%; overflow: auto }
th, td { padding: 6px 13px; border: 1px solid #d1d9e0 } tr:nth-child(2n) td { background: #f6f8fa }
hr { height: 3px; margin: 20px 0; border: 0; background: #d1d9e0 }
.alert { padding: 4px 14px; border-left: 4px solid } .alert p { margin: 4px 0 } .alert p.title { font-weight: 600 } .alert ul { margin: 4px 0 }
.NOTE { border-color: #0969da } .NOTE .title { color: #0969da } .WARNING { border-color: #9a6700 } .WARNING .title { color: #9a6700 }
.CAUTION { border-color: #cf222e } .CAUTION .title { color: #cf222e }
@media (max-width: 500px) { body { padding: 8px } .body { padding: 12px } }
`;

/** A comment as a page of its own: line ends break lines, as in comments, and alerts are boxes. */
function pageOf(markdown: string): string {
  const html = marked.parse(markdown, { async: false, gfm: true, breaks: true });
  const boxed = html.replaceAll(
    /<blockquote>\s*<p>\[!(NOTE|WARNING|CAUTION)\](?:<br>)?\s*/g,
    (_, kind: string) => `<blockquote class="alert ${kind}"><p class="title">${kind.charAt(0)}${kind.slice(1).toLowerCase()}</p><p>`,
  );
  const head = '<div class="head"><b>headgate</b> commented on this pull request</div>';
  const script = '<script>document.documentElement.dataset.height = document.documentElement.scrollHeight</script>';
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>${STYLE}</style><body><div class="comment">${head}<div class="body">${boxed}</div></div>${script}</body></html>`;
}

async function browser(): Promise<string> {
  for (const name of BROWSERS) {
    const found = await run(name, ['--version']).catch(() => null);
    if (found !== null) return name;
  }
  throw new Error(`no browser: install chromium, or say CHROMIUM=PATH (tried ${BROWSERS.join(', ')})`);
}

interface Shot {
  readonly picture: string;
  readonly width: number;
  /** The tallest that is shown, in CSS pixels. */
  readonly most: number;
}

async function shoot(program: string, page: string, { picture, width, most }: Shot): Promise<void> {
  // Narrow windows are widened by the browser: a frame in a wide one keeps the width of a phone.
  const common = ['--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--force-device-scale-factor=2'];
  const { stdout } = await run(program, [...common, `--window-size=${width},600`, '--dump-dom', `file://${page}`]);
  const height = Math.min(most, Number(/data-height="(\d+)"/.exec(stdout)?.[1] ?? most));
  await run(program, [...common, `--window-size=${width},${height}`, `--screenshot=${picture}`, `file://${page}`]);
}

/** Draws the pictures of the docs from recorded comments: `node scripts/comment-pictures.ts`. Needs chromium. */
async function main(): Promise<void> {
  const program = await browser();
  const folder = await mkdtemp(join(tmpdir(), 'headgate-pictures-'));
  await mkdir('docs/images', { recursive: true });
  for (const { comment, ...shot } of PICTURES) {
    const page = join(folder, 'page.html');
    await writeFile(page, pageOf(await readFile(comment, 'utf8')));
    await shoot(program, page, shot);
    console.log(shot.picture);
  }
  await rm(folder, { recursive: true });
}

await main();
