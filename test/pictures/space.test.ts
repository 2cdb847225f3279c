import { createHash } from 'node:crypto';
import vm from 'node:vm';
import { describe, expect, it } from 'vitest';
import { page, sheet, space } from '../../src/pictures/index.js';
import { seenFrom } from '../../src/pictures/space.js';
import { TURN_SCRIPT } from '../../src/pictures/turn-script.js';
import { parseMarkup } from './parse-markup.js';

const POINTS = Array.from({ length: 12 }, (_, i) => ({
  at: [Math.sin(i), Math.cos(2 * i), Math.sin(3 * i + 1)] as const,
  group: (i % 4) - 1,
}));
const draw = () => space({ title: 't', description: 'd', axes: ['<a>', 'b', 'c'], group: 'cluster', points: POINTS });

/** A mark of the drawing, as far as the script touches it. */
class Mark {
  readonly attributes = new Map<string, string>();
  readonly parentNode: { appendChild(mark: Mark): void };
  constructor(order: Mark[]) {
    this.parentNode = { appendChild: (mark) => order.push(mark) };
  }
  setAttribute(name: string, value: string): void {
    this.attributes.set(name, value);
  }
  get place(): number[] {
    return /translate\((.*),(.*)\)/.exec(this.attributes.get('transform')!)!.slice(1).map(Number);
  }
}

/** The script in a page that has one drawing of these marks and nothing else; what it listens to, by the event's name. */
function run(data: string, counts: { path: number; line: number; text: number }) {
  const order: Mark[] = [];
  const marks = new Map(
    Object.entries(counts).map(([tag, n]) => [tag, Array.from({ length: n }, () => new Mark(order))]),
  );
  const listeners = new Map<string, (event: object) => void>();
  const addEventListener = (name: string, listener: (event: object) => void) => listeners.set(name, listener);
  const drawing = { style: {}, addEventListener, setPointerCapture: () => {} };
  const figure = {
    dataset: { turning: data },
    querySelector: () => drawing,
    querySelectorAll: (selector: string) => marks.get(selector.split(' ')[1]!)!,
    addEventListener,
  };
  vm.runInNewContext(TURN_SCRIPT, { document: { querySelectorAll: () => [figure] }, Math, JSON });
  return { marks, listeners, order };
}

describe('a space', () => {
  it('is seen as a rotation makes it: lengths stay, and nothing is above what it was at a quarter turn', () => {
    const view = { yaw: 0.7, pitch: -0.4 };
    for (const { at } of POINTS) expect(Math.hypot(...seenFrom(view, at))).toBeCloseTo(Math.hypot(...at), 12);
    expect(seenFrom({ yaw: 0, pitch: 0 }, [1, 2, 3])).toEqual([1, 2, 3]);
    const quarter = seenFrom({ yaw: Math.PI / 2, pitch: 0 }, [1, 2, 3]);
    expect(quarter.map((value) => Math.round(value * 1e9) / 1e9)).toEqual([3, 2, -1]);
    const above = seenFrom({ yaw: 0, pitch: Math.PI / 2 }, [1, 2, 3]);
    expect(above.map((value) => Math.round(value * 1e9) / 1e9)).toEqual([1, -3, 2]);
  });

  it('is a still drawing in a sheet, and turns in a page whose policy lets that one script run', async () => {
    const picture = { title: 't', sections: [{ heading: 'h', charts: [await draw()] }] };
    expect(sheet(picture)).not.toContain('<script');
    const html = page(picture);
    const [, script] = /<script>([\s\S]*)<\/script>/.exec(html)!;
    const digest = createHash('sha256').update(script!).digest('base64');
    expect(html).toContain(`script-src &#39;sha256-${digest}&#39;`);
    expect(html.match(/<script/g)).toHaveLength(1);
    expect(html).not.toMatch(/https?:\/\/(?!www\.w3\.org\/)/);
    expect(parseMarkup(html).text).toContain('<a>');
    expect(page(picture)).toBe(html);
  });

  it('has dots for all things, inside the drawing however it is turned', async () => {
    const { turning, svg, width } = await draw();
    expect(svg.match(/<path[^>]*transform="translate/g)!.length).toBeGreaterThanOrEqual(POINTS.length);
    expect(turning!.points).toHaveLength(POINTS.length + 3);
    for (const at of turning!.points) expect(turning!.radius * Math.hypot(...at)).toBeLessThanOrEqual(width / 2);
    expect(turning!.centre[0]).toBeGreaterThan(turning!.radius);
  });

  it('is where the drawing has it after turning there and back, and elsewhere between', async () => {
    const { turning, svg } = await draw();
    const drawn = [...svg.matchAll(/class="mark-symbol role-mark turned-points"[\s\S]*?<\/g>/g)][0]![0];
    const places = [...drawn.matchAll(/translate\(([-\d.]+),([-\d.]+)\)/g)].map((match) => match.slice(1).map(Number));
    expect(places).toHaveLength(POINTS.length);
    const { marks, listeners, order } = run(JSON.stringify(turning), { path: POINTS.length, line: 3, text: 3 });
    const press = (key: string) => listeners.get('keydown')!({ key, preventDefault: () => {} });
    press('ArrowRight');
    const turned = marks.get('path')!.map(({ place }) => place);
    expect(
      turned.filter((place, i) => Math.hypot(place[0]! - places[i]![0]!, place[1]! - places[i]![1]!) > 1).length,
    ).toBeGreaterThan(6);
    order.length = 0;
    press('ArrowLeft');
    for (const [i, { place }] of marks.get('path')!.entries()) {
      expect(place[0]).toBeCloseTo(places[i]![0]!, 0);
      expect(place[1]).toBeCloseTo(places[i]![1]!, 0);
    }
    // The chart draws far things first, and so does the script.
    expect(order).toEqual(marks.get('path'));
  });

  it('turns by dragging with a button held, and not beyond looking from above', async () => {
    const { turning } = await draw();
    const { marks, listeners } = run(JSON.stringify(turning), { path: POINTS.length, line: 3, text: 3 });
    const move = (event: object) => listeners.get('pointermove')!(event);
    move({ buttons: 0, movementX: 50, movementY: 0 });
    expect(marks.get('path')![0]!.attributes.size).toBe(0);
    move({ buttons: 1, movementX: 0, movementY: 1e6 });
    // From above, the upright axis is seen end on.
    expect(Number(marks.get('line')![1]!.attributes.get('y2'))).toBeCloseTo(0, 1);
  });
});
