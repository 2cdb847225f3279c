import type { Spec } from 'vega';
import { type Chart, drawChart } from './chart.js';
import { groupScales } from './group-marks.js';
import { legible } from './legible.js';

/** Things at places in space, each in a group or in none (`NO_GROUP`). */
export interface Space {
  readonly title: string;
  readonly description: string;
  /** What the three axes are. */
  readonly axes: readonly [string, string, string];
  /** What a group is, over the legend. */
  readonly group: string;
  readonly points: readonly { readonly at: Place; readonly group: number }[];
}

export type Place = readonly [number, number, number];

/** How a space is looked at: turned about the upright axis, then towards the reader; radians. */
export interface View {
  readonly yaw: number;
  readonly pitch: number;
}

/** What a page needs to turn a drawing: places at a distance of 1 at most, in the order that they are drawn in, then the axes' ends. */
export interface Turning extends View {
  readonly points: readonly Place[];
  readonly centre: readonly [number, number];
  readonly radius: number;
}

const SIDE = 340;
const MARGINS = { top: 8, right: 110, bottom: 8, left: 8 } as const;
/** Off all axes, so that none hides behind another. */
const FIRST_VIEW: View = { yaw: 0.6, pitch: 0.35 };
/** The farthest thing stays inside the drawing, its dot and the axes' names too, however it is turned. */
const RADIUS = SIDE / 2 - 12;
const DIGITS = 1000;

/** Where a place is seen, across and upwards, and how near it is to the reader: an orthographic projection. */
export function seenFrom({ yaw, pitch }: View, [x, y, z]: Place): Place {
  const across = x * Math.cos(yaw) + z * Math.sin(yaw);
  const back = z * Math.cos(yaw) - x * Math.sin(yaw);
  return [across, y * Math.cos(pitch) - back * Math.sin(pitch), y * Math.sin(pitch) + back * Math.cos(pitch)];
}

/** Draws a space as it is seen from one side; a page can turn it. Nearer things lie over farther ones. */
export async function space({ title, description, axes, group, points }: Space): Promise<Chart> {
  const placed = placesOf(points.map(({ at }) => at));
  const seen = placed
    .map((place, i) => ({ place, view: seenFrom(FIRST_VIEW, place), group: points[i]!.group }))
    .sort((a, b) => a.view[2] - b.view[2]);
  const ends = ([0, 1, 2] as const).map((axis): Place => [Number(axis === 0), Number(axis === 1), Number(axis === 2)]);
  const onPage = ([across, up]: Place) => ({ x: SIDE / 2 + RADIUS * across, y: SIDE / 2 - RADIUS * up });
  const marks = groupScales(
    points.map((point) => point.group),
    group,
  );
  const spec: Omit<Spec, 'width' | 'height' | 'padding'> = {
    data: [
      { name: 'points', values: seen.map(({ view, group: of }) => ({ ...onPage(view), group: of })) },
      {
        name: 'axes',
        values: ends.map((end, i) => ({ ...onPage(seenFrom(FIRST_VIEW, end)), name: legible(axes[i]!) })),
      },
    ],
    scales: marks.scales.map((scale) => ({ ...scale, domain: [...scale.domain], range: [...scale.range] })),
    legends: [...marks.legends],
    marks: [
      { type: 'rule', name: 'turned-axes', from: { data: 'axes' }, encode: { enter: AXIS } },
      { type: 'symbol', name: 'turned-points', from: { data: 'points' }, encode: { enter: POINT } },
      { type: 'text', name: 'turned-names', from: { data: 'axes' }, encode: { enter: NAME } },
    ],
  };
  const chart = await drawChart({ title, description, width: SIDE, height: SIDE, margins: MARGINS }, spec);
  const rounded = (place: Place) => place.map((value) => Math.round(value * DIGITS) / DIGITS) as unknown as Place;
  const turning: Turning = {
    ...FIRST_VIEW,
    points: [...seen.map(({ place }) => rounded(place)), ...ends],
    centre: [SIDE / 2, SIDE / 2],
    radius: RADIUS,
  };
  return { ...chart, turning };
}

const AXIS = {
  x: { value: SIDE / 2 },
  y: { value: SIDE / 2 },
  x2: { field: 'x' },
  y2: { field: 'y' },
  stroke: { value: 'currentColor' },
  strokeOpacity: { value: 0.6 },
} as const;

const POINT = {
  x: { field: 'x' },
  y: { field: 'y' },
  fill: { scale: 'colour', field: 'group' },
  shape: { scale: 'shape', field: 'group' },
  size: { value: 22 },
  fillOpacity: { value: 0.75 },
} as const;

const NAME = {
  x: { field: 'x' },
  y: { field: 'y' },
  text: { field: 'name' },
  align: { value: 'center' },
  fontSize: { value: 10 },
} as const;

/** Every place about the middle of all, the farthest at a distance of 1. */
function placesOf(places: readonly Place[]): Place[] {
  const middle = ([0, 1, 2] as const).map((d) => places.reduce((sum, place) => sum + place[d], 0) / places.length);
  const about = places.map((place) => place.map((value, d) => value - middle[d]!) as unknown as Place);
  const reach = about.reduce((most, place) => Math.max(most, Math.hypot(...place)), 0) || 1;
  return about.map((place) => place.map((value) => value / reach) as unknown as Place);
}
