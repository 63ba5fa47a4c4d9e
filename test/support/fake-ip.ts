import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ipText } from './ip-output.ts';

/**
 * A program called `ip` in a directory of its own, for machines without a CAN controller: it shows the interface
 * that it was told to show, writes down what it is asked to change, and shows another one after `up`. Going up and
 * down, which needs no controller, is left to the real ip.
 */
export class FakeIp {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = join(directory, 'bin');
    mkdirSync(this.directory, { recursive: true });
    const file = (name: string) => `'${join(this.directory, name)}'`;
    const script = [
      '#!/bin/sh',
      `case "$*" in`,
      `*' link show '*) cat ${file('shown')}; exit ;;`,
      'esac',
      `echo "$*" >>${file('asked')}`,
      `case "$*" in`,
      `*' type can '*) [ -e ${file('refusal')} ] && { cat ${file('refusal')} >&2; exit 2; } ;;`,
      'esac',
      `case "$*" in`,
      `*' down' | *' up') PATH="\${PATH#*:}" ip "$@" 2>/dev/null ;;`,
      'esac',
      `case "$*" in`,
      `*' up'*) [ -e ${file('after')} ] && mv ${file('after')} ${file('shown')} ;;`,
      'esac',
      'exit 0',
    ];
    writeFileSync(join(this.directory, 'ip'), `${script.join('\n')}\n`);
    chmodSync(join(this.directory, 'ip'), 0o755);
  }

  /** A PATH on which it stands before the real one. */
  get path(): string {
    return `${this.directory}${delimiter}${process.env.PATH}`;
  }

  /** Says what `link show` gives now, and after the next `up`; forgets what was asked. */
  show(links: readonly unknown[], after?: readonly unknown[]): void {
    for (const name of ['asked', 'after', 'refusal']) rmSync(join(this.directory, name), { force: true });
    writeFileSync(join(this.directory, 'shown'), ipText(links));
    if (after !== undefined) writeFileSync(join(this.directory, 'after'), ipText(after));
  }

  /** From now on settings of a controller fail with this. */
  refuse(message: string): void {
    writeFileSync(join(this.directory, 'refusal'), `${message}\n`);
  }

  /** What was asked since the last show, a line each. */
  get asked(): string[] {
    const path = join(this.directory, 'asked');
    return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : [];
  }
}
