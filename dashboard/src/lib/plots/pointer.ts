/** What fingers, mouse and wheel do to a plot: drag moves, wheel and two fingers zoom, shift and drag picks a span. */

export interface PointerTarget {
  timeAt(px: number): number;
  span(): readonly [fromS: number, toS: number];
  pan(byS: number): void;
  zoom(factor: number, atS: number): void;
  showSpan(fromS: number, toS: number): void;
  goLive(): void;
}

const ZOOM_PER_WHEEL_PX = 0.0016;
/** A hand that trembles doesn't drag. */
const DRAG_LEAST_PX = 4;

export function followPointer(element: HTMLElement, target: PointerTarget): () => void {
  const pointers = new Map<number, number>();
  let pickedFromPx: number | null = null;
  let isDragging = false;
  const marker = document.createElement('div');
  marker.className = 'u-select';
  marker.hidden = true;
  element.append(marker);

  const place = (event: PointerEvent | WheelEvent | MouseEvent) =>
    event.clientX - element.getBoundingClientRect().left;
  const secondsPerPx = () => {
    const [fromS, toS] = target.span();
    return (toS - fromS) / element.clientWidth;
  };

  function down(event: PointerEvent): void {
    if (event.button !== 0) return;
    pointers.set(event.pointerId, place(event));
    isDragging = false;
    pickedFromPx = event.shiftKey && pointers.size === 1 ? place(event) : null;
  }

  function move(event: PointerEvent): void {
    const before = pointers.get(event.pointerId);
    if (before === undefined) return;
    const now = place(event);
    if (pickedFromPx !== null) {
      showMarker(pickedFromPx, now);
      return;
    }
    if (!isDragging && pointers.size === 1 && Math.abs(now - before) < DRAG_LEAST_PX) return;
    if (!isDragging) element.setPointerCapture(event.pointerId);
    isDragging = true;
    const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, px]) => px);
    const other = others[0];
    if (other === undefined) {
      target.pan((before - now) * secondsPerPx());
    } else {
      const [distanceBefore, distanceNow] = [Math.abs(before - other), Math.abs(now - other)];
      if (distanceBefore > 8 && distanceNow > 8) {
        target.zoom(distanceBefore / distanceNow, target.timeAt((now + other) / 2));
      }
    }
    pointers.set(event.pointerId, now);
  }

  function up(event: PointerEvent): void {
    if (!pointers.delete(event.pointerId)) return;
    if (pickedFromPx !== null) {
      const [from, to] = [pickedFromPx, place(event)].sort((left, right) => left - right) as [number, number];
      if (to - from >= DRAG_LEAST_PX) target.showSpan(target.timeAt(from), target.timeAt(to));
      pickedFromPx = null;
      marker.hidden = true;
    }
  }

  function wheel(event: WheelEvent): void {
    if (
      event.ctrlKey === false &&
      event.shiftKey === false &&
      Math.abs(event.deltaX) <= Math.abs(event.deltaY)
    ) {
      event.preventDefault();
      target.zoom(Math.exp(event.deltaY * ZOOM_PER_WHEEL_PX), target.timeAt(place(event)));
    } else if (event.ctrlKey) {
      // Two fingers on a touchpad come as that.
      event.preventDefault();
      target.zoom(Math.exp(event.deltaY * 8 * ZOOM_PER_WHEEL_PX), target.timeAt(place(event)));
    } else {
      event.preventDefault();
      target.pan((event.deltaX || event.deltaY) * secondsPerPx());
    }
  }

  function showMarker(fromPx: number, toPx: number): void {
    marker.hidden = false;
    marker.style.left = `${Math.min(fromPx, toPx)}px`;
    marker.style.width = `${Math.abs(toPx - fromPx)}px`;
    marker.style.top = '0';
    marker.style.height = '100%';
  }

  const goLive = () => target.goLive();
  element.addEventListener('pointerdown', down);
  element.addEventListener('pointermove', move);
  element.addEventListener('pointerup', up);
  element.addEventListener('pointercancel', up);
  element.addEventListener('wheel', wheel, { passive: false });
  element.addEventListener('dblclick', goLive);
  return () => {
    element.removeEventListener('pointerdown', down);
    element.removeEventListener('pointermove', move);
    element.removeEventListener('pointerup', up);
    element.removeEventListener('pointercancel', up);
    element.removeEventListener('wheel', wheel);
    element.removeEventListener('dblclick', goLive);
    marker.remove();
  };
}
