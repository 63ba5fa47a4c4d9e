/** A command that a document shows, and what it says comes of it. */
export interface DocExample {
  /** The line of the document at which it stands. */
  readonly line: number;
  /** A script for bash. */
  readonly command: string;
  /** The block that follows in the same section, if it shows an answer: its language ('' if none is given) and text. */
  readonly answer: { readonly language: string; readonly text: string } | null;
}

interface Block {
  readonly line: number;
  readonly language: string;
  readonly text: string;
  /** Whether only blank lines are between it and the block before. */
  readonly follows: boolean;
}

const FENCE = /^```(\S*)/;

/**
 * The commands of a Markdown document: its blocks that are marked as ```curl. A block that follows with nothing between
 * shows the answer: ```json, ```csv (the lines it begins with), or without a mark the output as it is.
 */
export function docExamples(markdown: string): DocExample[] {
  const blocks = blocksOf(markdown);
  return blocks.flatMap(({ line, language, text }, index) => {
    if (language !== 'curl') return [];
    const next = blocks[index + 1];
    const isAnswer = next?.follows === true && next.language !== 'curl';
    return [{ line, command: text, answer: isAnswer ? { language: next.language, text: next.text } : null }];
  });
}

function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: { line: number; language: string; follows: boolean; lines: string[] } | null = null;
  let isBlankSince = false;
  for (const [index, line] of markdown.split('\n').entries()) {
    const fence = FENCE.exec(line.trim());
    if (open === null && fence !== null) {
      open = { line: index + 1, language: fence[1]!, follows: isBlankSince, lines: [] };
    } else if (open === null) {
      isBlankSince &&= line.trim() === '';
    } else if (line.trim() === '```') {
      blocks.push({ ...open, text: open.lines.join('\n') });
      open = null;
      isBlankSince = true;
    } else {
      open.lines.push(line);
    }
  }
  return blocks;
}

/**
 * What an answer lacks of the form of an example: every property of the example is there, and of the same type where
 * neither is null. The items of an array are compared with the answer's first.
 */
export function missingOf(example: unknown, answer: unknown, path = ''): string[] {
  if (example === null || answer === null) return [];
  if (typeOf(example) !== typeOf(answer)) {
    return [`${path || 'the answer'} is ${typeOf(answer)}, the example has ${typeOf(example)}`];
  }
  if (Array.isArray(example)) {
    const [first] = answer as unknown[];
    return first === undefined ? [] : example.flatMap((item) => missingOf(item, first, `${path}[]`));
  }
  if (typeof example !== 'object') return [];
  return Object.entries(example).flatMap(([name, value]) =>
    Object.hasOwn(answer as object, name)
      ? missingOf(value, (answer as Record<string, unknown>)[name], `${path}/${name}`)
      : [`${path}/${name} is not in the answer`],
  );
}

function typeOf(value: unknown): string {
  return Array.isArray(value) ? 'array' : typeof value;
}
