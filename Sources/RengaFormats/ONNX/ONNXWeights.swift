// ONNXWeights.swift: weights from where they lie in the file to where a layer wants them, in its order, as f32; large ones by all threads.
// Memory: the weights themselves and half a megabyte a thread. Not here: which order a layer wants (ONNXHandlers…).
import CRengaKernels
import Glibc
import RengaNetwork

/// A parameter to be: the constants that it is made of and the places where they go.
struct ONNXWeight {
    let name: String
    let role: ParameterRole
    /// Its dimensions in the network.
    let dimensions: [Int]
    let constant: ONNXConstant
    /// For each axis of the constant and each index on it: what it adds to the element's place.
    let places: [[Int]]
    /// Multiplies all.
    var factor: Float = 1

    var count: Int { dimensions.saturatingProduct }
}

extension ONNXWeight {
    /// A parameter of one number a channel.
    init(_ name: String, _ role: ParameterRole, _ values: [Double]) {
        self.init(
            name: name, role: role, dimensions: [values.count],
            constant: ONNXConstant([values.count], values, isInteger: false), places: [Array(values.indices)])
    }

    /// The same axes in other places.
    func moved(_ axis: Int, to map: (Int) -> Int) -> ONNXWeight {
        var places = places
        places[axis] = places[axis].indices.map { self.places[axis][map($0)] }
        return ONNXWeight(
            name: name, role: role, dimensions: dimensions, constant: constant, places: places, factor: factor)
    }
}

/// Reads weights, each thread its share of the pieces.
struct ONNXWeightReader {
    /// One weight as a matrix: the outermost axis of the file and all others.
    private struct Matrix {
        let source: any ByteSource
        let offset: Int
        let element: ONNXElement
        let rows: [Int]
        let columns: [Int]
        let factor: Float
        let dst: UnsafeMutablePointer<Float>
        /// Columns follow each other in the parameter as in the file.
        let isCopy: Bool
    }
    /// Rows and columns that are read and put in their places at once.
    private struct Piece {
        let matrix: Int
        let rows: Range<Int>
        let columns: Range<Int>
    }

    /// As many rows as floats are in a line of the cache: written together where the rows become the fastest axis.
    private static let rowsAtOnce = 16
    private static let floatsAtOnce = 1 << 17

    private var matrices: [Matrix] = []
    private var pieces: [Piece] = []

    /// The tensors of all `weights`. All or nothing.
    static func read(_ weights: [ONNXWeight]) throws(RengaError) -> [Tensor] {
        try Tensor.together(weights.map(\.dimensions)) { (values) throws(RengaError) in
            var reader = ONNXWeightReader()
            for (weight, dst) in zip(weights, values) {
                guard let base = dst.baseAddress else { continue }
                try reader.add(weight, base)
            }
            try reader.run()
        }
    }

    private mutating func add(_ weight: ONNXWeight, _ dst: UnsafeMutablePointer<Float>) throws(RengaError) {
        let places = weight.constant.inStoredOrder(weight.places)
        guard !weight.constant.dimensions.contains(0) else { return }
        let rows = places.first ?? [0]
        var columns = [0]
        for axis in places.dropFirst() { columns = columns.flatMap { place in axis.map { place + $0 } } }
        guard let place = weight.constant.tensor?.place, let element = weight.constant.tensor?.element else {
            let values = try weight.constant.storedValues()
            for (row, start) in rows.enumerated() {
                for (column, offset) in columns.enumerated() {
                    dst[start + offset] = Float(values[row * columns.count + column]) * weight.factor
                }
            }
            return
        }
        let isCopy = columns.indices.allSatisfy { columns[$0] == columns[0] + $0 }
        matrices.append(
            Matrix(
                source: place.source, offset: place.range.lowerBound, element: element, rows: rows, columns: columns,
                factor: weight.factor, dst: dst, isCopy: isCopy))
        let most = Self.floatsAtOnce / Self.rowsAtOnce
        let rowsAtOnce = columns.count >= most ? Self.rowsAtOnce : Self.floatsAtOnce / columns.count
        for row in stride(from: 0, to: rows.count, by: rowsAtOnce) {
            for column in stride(from: 0, to: columns.count, by: most) {
                pieces.append(
                    Piece(
                        matrix: matrices.count - 1, rows: row..<min(row + rowsAtOnce, rows.count),
                        columns: column..<min(column + most, columns.count)))
            }
        }
    }

    private func run() throws(RengaError) {
        guard pieces.count <= SharedPieces.mostPieces else {
            throw RengaError(.unsupported, "the weights are too many")
        }
        let threads = pieces.count > 1 ? rk_default_threads() : 1
        try SharedPieces.run(pieces.count, threads: threads) { (index, scratch) throws(RengaError) in
            // Floats, and behind them twice as much for what they are made of: at most eight bytes each.
            try take(pieces[index], try scratch.floats(3 * Self.floatsAtOnce))
        }
    }

    private func take(_ piece: Piece, _ floats: UnsafeMutablePointer<Float>) throws(RengaError) {
        let matrix = matrices[piece.matrix]
        let width = matrix.element.bytes
        let (rows, columns) = (piece.rows.count, piece.columns.count)
        // What is read lies behind the floats that are made of it; floats themselves are read in place.
        let raw = UnsafeMutableRawPointer(matrix.element == .float ? floats : floats + Self.floatsAtOnce)
        func read(_ at: Int, _ row: Int, _ count: Int) throws(RengaError) {
            let begin = matrix.offset + ((piece.rows.lowerBound + row) * matrix.columns.count + at) * width
            let bytes = UnsafeMutableRawBufferPointer(start: raw + row * columns * width, count: count * width)
            try matrix.source.read(bytes, at: begin)
        }
        if columns == matrix.columns.count {
            try read(0, 0, rows * columns)
        } else {
            for row in 0..<rows { try read(piece.columns.lowerBound, row, columns) }
        }
        if matrix.element != .float { widen(matrix.element, raw, floats, rows * columns) }
        if matrix.factor != 1 { for index in 0..<rows * columns { floats[index] *= matrix.factor } }
        matrix.rows.withUnsafeBufferPointer { outer in
            matrix.columns.withUnsafeBufferPointer { inner in
                let (first, start) = (piece.rows.lowerBound, piece.columns.lowerBound)
                if matrix.isCopy {
                    for row in 0..<rows {
                        memcpy(matrix.dst + outer[first + row] + inner[start], floats + row * columns, columns * 4)
                    }
                    return
                }
                for column in 0..<columns {
                    let dst = matrix.dst + inner[start + column]
                    for row in 0..<rows { dst[outer[first + row]] = floats[row * columns + column] }
                }
            }
        }
    }

    private func widen(
        _ element: ONNXElement, _ raw: UnsafeMutableRawPointer, _ dst: UnsafeMutablePointer<Float>, _ count: Int
    ) {
        let width = element.bytes
        for index in 0..<count {
            var bits: UInt64 = 0
            memcpy(&bits, raw + index * width, width)
            dst[index] = Float(element.value(UInt64(littleEndian: bits)))
        }
    }
}
