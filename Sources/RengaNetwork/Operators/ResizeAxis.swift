// ResizeAxis.swift: which elements of an axis make each element of the resized one, and with which weights (ONNX: Resize).
// Not here: options and shapes (Resize.swift), the arithmetic on maps (kernels).

/// The neighbours along one axis, as a table of `taps` weights for each element of the result.
package struct ResizeAxis {
    private let resize: Resize
    private let axis: Resize.Axis
    /// Elements of the source and of the result.
    private let size, result: Int
    /// Place of the first neighbour, counted from the one before the place, and number of neighbours.
    private let start, neighbours: Int
    /// What distances are multiplied by: below 1 where interpolation widens.
    private let reach: Double

    /// Describes the resize of an axis from `size` to `result` elements.
    package init(_ resize: Resize, _ axis: Resize.Axis, size: Int, result: Int) {
        (self.resize, self.axis, self.size, self.result) = (resize, axis, size, result)
        reach = resize.antialias ? min(axis.scale > 0 ? axis.scale : Double(result) / Double(size), 1) : 1
        switch resize.mode {
        case .nearest: (start, neighbours) = (0, 1)
        case .linear, .cubic:
            start = Int((-(resize.mode == .linear ? 1 : 2) / reach).rounded(.down)) + 1
            neighbours = 2 - 2 * start
        }
    }

    /// Weights of each element of the result. Neighbours beyond the ends count for the element at the end.
    package var taps: Int { min(neighbours, size) }

    /// Fills first[result] with the first neighbour of each element (-1: it lies outside a crop) and weights[result taps].
    package func fill(first: UnsafeMutablePointer<Int32>, weights: UnsafeMutablePointer<Float>) {
        weights.update(repeating: 0, count: result * taps)
        for i in 0..<result {
            guard let place = place(of: i) else {
                first[i] = -1
                continue
            }
            let begin = resize.mode == .nearest ? nearest(place) : Int(place.rounded(.down)) + start
            let lowest = min(max(begin, 0), size - taps)
            first[i] = Int32(clamping: lowest)
            fill(place, begin, weights + i * taps - lowest)
        }
    }

    /// Fills the weights of one element; weights[k] is that of source element k.
    private func fill(_ place: Double, _ begin: Int, _ weights: UnsafeMutablePointer<Float>) {
        var total = 0.0
        for k in begin..<begin + neighbours { total += weight(k, place) }
        guard total != 0 else { return weights[inside(begin)] = 1 }
        var sum = 0.0
        for k in begin..<begin + neighbours {
            sum += weight(k, place) / total
            guard k + 1 == begin + neighbours || inside(k + 1) != inside(k) else { continue }
            weights[inside(k)] = Float(sum)
            sum = 0
        }
    }

    private func inside(_ place: Int) -> Int { min(max(place, 0), size - 1) }

    private func nearest(_ place: Double) -> Int {
        switch resize.nearest {
        case .roundPreferFloor: Int((place - 0.5).rounded(.up))
        case .roundPreferCeil: Int((place + 0.5).rounded(.down))
        case .floor: Int(place.rounded(.down))
        case .ceil: Int(place.rounded(.up))
        }
    }

    /// The weight of source element `k` (which may lie outside) at `place`, up to a common factor.
    private func weight(_ k: Int, _ place: Double) -> Double {
        if resize.excludesOutside, inside(k) != k { return 0 }
        let distance = abs(Double(k) - place) * reach
        switch resize.mode {
        case .nearest: return 1
        case .linear: return max(1 - distance, 0)
        case .cubic:
            // Keys 1981.
            let (a, square) = (resize.cubicA, distance * distance)
            if distance <= 1 { return ((a + 2) * distance - (a + 3)) * square + 1 }
            return distance < 2 ? ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a : 0
        }
    }

    /// Where element `i` of the result lies on the source; nil outside a crop.
    private func place(of i: Int) -> Double? {
        let (x, from, to) = (Double(i), Double(size), Double(result))
        // By the sizes themselves where there is no scale: their quotient would be rounded.
        let scale = axis.scale
        func scaled(_ x: Double) -> Double { scale > 0 ? x / scale : x * from / to }
        let length = scale > 0 ? scale * from : to
        var place: Double
        switch resize.coordinates {
        case .halfPixel: place = scaled(x + 0.5) - 0.5
        case .asymmetric: place = scaled(x)
        case .pytorchHalfPixel: place = result == 1 ? 0 : scaled(x + 0.5) - 0.5
        case .halfPixelSymmetric: place = from / 2 * (1 - to / length) + scaled(x + 0.5) - 0.5
        case .alignCorners: place = length == 1 ? 0 : x * (from - 1) / (length - 1)
        case .cropAndResize:
            let part = (axis.cropEnd - axis.cropStart) * (from - 1)
            place = axis.cropStart * (from - 1) + (length == 1 ? part / 2 : x * part / (length - 1))
            guard place >= 0, place <= from - 1 else { return nil }
        }
        // Far outside is as good as just outside, and small enough for an integer.
        place = min(max(place, -from - Double(neighbours)), 2 * from + Double(neighbours))
        return place
    }
}
