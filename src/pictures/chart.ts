import type { Spec } from 'vega';
import { escapeMarkup } from './legible.js';
import type { Turning } from './space.js';

/** One drawing, ready to be put into a page or a sheet. */
export interface Chart {
  /** What it shows, one line. */
  readonly title: string;
  /** What can be read off it, for those who do not see it: the alternative text. */
  readonly description: string;
  /** In CSS pixels. */
  readonly width: number;
  readonly height: number;
  /** A whole `<svg>` element. Its text has the colour of the text around it. */
  readonly svg: string;
  /** Of a drawing that a page can turn; a sheet shows it as it is. */
  readonly turning?: Turning;
}

/** Room around the plotting area for axes, their titles and a legend, in CSS pixels. */
export interface Margins {
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  readonly left: number;
}

export interface ChartOptions {
  readonly title: string;
  readonly description: string;
  /** Of the plotting area. */
  readonly width: number;
  readonly height: number;
  readonly margins: Margins;
}

/** Everything that is not data has the colour of the text around the drawing, so that it reads on dark and light. */
const CONFIG: NonNullable<Spec['config']> = {
  background: null,
  axis: {
    labelColor: 'currentColor',
    titleColor: 'currentColor',
    domainColor: 'currentColor',
    tickColor: 'currentColor',
    titleFontWeight: 'normal',
    labelOverlap: true,
  },
  legend: { labelColor: 'currentColor', titleColor: 'currentColor', titleFontWeight: 'normal' },
  title: { color: 'currentColor', fontWeight: 'normal', fontSize: 11 },
  text: { fill: 'currentColor' },
};

/**
 * A scale of colours as a few squares with their amounts. A gradient would need an `id`, and ids of several charts on one page
 * would be mixed up.
 */
export const AMOUNT_LEGEND = { type: 'symbol', symbolType: 'square', symbolSize: 180, format: '.3~g' } as const;

/**
 * Draws a Vega specification without its frame (size, padding, colours), and names it for screen readers. The same
 * specification gives the same bytes. Names from checkpoints belong into data values, `legible`: in the specification itself
 * some strings are expressions.
 */
export async function drawChart(
  options: ChartOptions,
  spec: Omit<Spec, 'width' | 'height' | 'padding'>,
): Promise<Chart> {
  const vega = await import('vega');
  const { textMetrics } = vega as unknown as TextMetrics;
  textMetrics.canvas(false);
  const { title, description, width, height, margins } = options;
  const framed: Spec = { ...spec, width, height, padding: margins, autosize: 'none' };
  const view = new vega.View(vega.parse(framed, CONFIG), { renderer: 'none' });
  try {
    const svg = named(await view.toSVG(), `${title}. ${description}`);
    return {
      title,
      description,
      width: width + margins.left + margins.right,
      height: height + margins.top + margins.bottom,
      svg,
    };
  } finally {
    view.finalize();
  }
}

/**
 * What vega exports and its types leave out: whether text is measured, with the package `canvas` where that lies beside ours,
 * or estimated. Measuring would make the bytes depend on the machine and its fonts.
 */
interface TextMetrics {
  readonly textMetrics: { canvas(measure: boolean): void };
}

/** With role `img` a screen reader says the label and leaves the hundreds of parts out. */
function named(svg: string, label: string): string {
  return svg.replace('<svg ', () => `<svg role="img" aria-label="${escapeMarkup(label)}" `);
}
