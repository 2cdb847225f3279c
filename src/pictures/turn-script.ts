/**
 * What turns a space on a page: dragging with mouse, pen or finger, or the arrow keys. It moves the marks that the chart has
 * drawn, by the data beside it, with the projection of `seenFrom`; it makes no element, reads nothing else and asks for nothing.
 * Without it the drawing stays as it is.
 */
export const TURN_SCRIPT = `
for (const figure of document.querySelectorAll('figure[data-turning]')) {
  const turning = JSON.parse(figure.dataset.turning);
  const { points, centre, radius } = turning;
  let { yaw, pitch } = turning;
  const marks = (name, tag) => [...figure.querySelectorAll('.turned-' + name + ' ' + tag)];
  const dots = marks('points', 'path');
  const axes = marks('axes', 'line');
  const names = marks('names', 'text');
  const places = points.slice(0, dots.length).map((place, i) => ({ place, dot: dots[i] }));
  const ends = points.slice(dots.length);
  const seen = ([x, y, z]) => {
    const back = z * Math.cos(yaw) - x * Math.sin(yaw);
    const up = y * Math.cos(pitch) - back * Math.sin(pitch);
    return [
      centre[0] + radius * (x * Math.cos(yaw) + z * Math.sin(yaw)),
      centre[1] - radius * up,
      y * Math.sin(pitch) + back * Math.cos(pitch),
    ];
  };
  const move = (mark, x, y) => mark.setAttribute('transform', 'translate(' + x.toFixed(2) + ',' + y.toFixed(2) + ')');
  const draw = () => {
    const now = places.map(({ place, dot }) => ({ dot, at: seen(place) }));
    now.sort((a, b) => a.at[2] - b.at[2]);
    for (const { dot, at } of now) {
      move(dot, at[0], at[1]);
      dot.parentNode.appendChild(dot);
    }
    ends.forEach((end, i) => {
      const at = seen(end);
      axes[i].setAttribute('x2', (at[0] - centre[0]).toFixed(2));
      axes[i].setAttribute('y2', (at[1] - centre[1]).toFixed(2));
      move(names[i], at[0], at[1]);
    });
  };
  const turn = (across, up) => {
    yaw += across;
    pitch = Math.max(-Math.PI / 2, Math.min(Math.PI / 2, pitch + up));
    draw();
  };
  const drawing = figure.querySelector('svg');
  drawing.style.touchAction = 'none';
  drawing.style.cursor = 'grab';
  drawing.addEventListener('pointerdown', (event) => drawing.setPointerCapture(event.pointerId));
  drawing.addEventListener('pointermove', (event) => {
    if (event.buttons !== 0) turn(event.movementX / 150, event.movementY / 150);
  });
  const keys = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
  figure.tabIndex = 0;
  figure.addEventListener('keydown', (event) => {
    const step = keys[event.key];
    if (step === undefined) return;
    event.preventDefault();
    turn(step[0], step[1]);
  });
}
`;
