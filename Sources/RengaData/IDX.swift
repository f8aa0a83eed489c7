// IDX.swift: the IDX files of MNIST and its successors: a big-endian header, then bytes. Plain or gzip.
// Format: http://yann.lecun.com/exdb/mnist/ (two zero bytes, element type 0x08 = u8, number of dimensions, one u32 a dimension).
// Not here: other element types of IDX (no image set uses them).
import RengaNetwork

/// Readers for IDX files of unsigned bytes.
public enum IDX {
    /// Reads an image file of 3 dimensions `[N,H,W]` (or 4: `[N,H,W,C]`) and a label file of one, `[N]`.
    /// classes: nil = the largest label + 1. Errors: fileError; corruptData (header, sizes, checksum, counts, labels);
    /// outOfMemory. Memory: the images, as u8, and 5 bytes a label; gzip inflates to at most 1032 times the file.
    public static func dataset(
        images imagesPath: String, labels labelsPath: String, classes: Int? = nil, classNames: [String] = []
    ) throws(RengaError) -> Dataset {
        let labels = try labels(labelsPath)
        let (shape, pixels) = try images(imagesPath)
        guard shape.n == labels.count else {
            throw RengaError(
                .corruptData, "'\(imagesPath)' has \(shape.n) images, '\(labelsPath)' \(labels.count) labels")
        }
        return try Dataset(
            shape: shape, element: .u8, layout: .nhwc, images: pixels, labels: labels.memory,
            classes: classes ?? labels.largest + 1, classNames: classNames)
    }

    /// Labels of one file, widened to Int32.
    struct Labels {
        let count: Int
        let largest: Int
        let memory: ImageMemory
    }

    static func labels(_ path: String) throws(RengaError) -> Labels {
        let file = try ContentFile(path: path)
        let dimensions = try header(of: file, allowed: 1...1, "labels")
        let count = dimensions[0]
        let bytes = try ImageMemory(count: count, stride: 1, "the labels of '\(path)'")
        try bytes.withBytes { (dst) throws(RengaError) in try file.read(dst) }
        try file.expectEnd()
        let memory = try ImageMemory(count: count, stride: 4, "the labels of '\(path)'")
        var largest: UInt8 = 0
        memory.withBytes { wide in
            bytes.withBytes { narrow in
                for (index, byte) in narrow.enumerated() {
                    wide.storeBytes(of: Int32(byte), toByteOffset: 4 * index, as: Int32.self)
                    largest = max(largest, byte)
                }
            }
        }
        return Labels(count: count, largest: Int(largest), memory: memory)
    }

    private static func images(_ path: String) throws(RengaError) -> (Shape, ImageMemory) {
        let file = try ContentFile(path: path)
        let dimensions = try header(of: file, allowed: 3...4, "images")
        let shape = Shape(
            n: dimensions[0], h: dimensions[1], w: dimensions[2], c: dimensions.count == 4 ? dimensions[3] : 1)
        let memory = try ImageMemory(count: shape.count, stride: 1, "the images of '\(path)'")
        try memory.withBytes { (dst) throws(RengaError) in try file.read(dst) }
        try file.expectEnd()
        return (shape, memory)
    }

    /// Reads the header: its dimensions, all at least 1, whose product the file can hold.
    private static func header(
        of file: ContentFile, allowed ranks: ClosedRange<Int>, _ what: String
    ) throws(RengaError) -> [Int] {
        let magic = try file.readBigEndian()
        let rank = Int(magic & 0xFF)
        guard magic >> 8 == 0x08, ranks.contains(rank) else {
            throw RengaError(
                .corruptData,
                "'\(file.path)' is not an IDX file of \(what): it begins with 0x\(String(magic, radix: 16)), "
                    + "expected 0x8 (bytes) and \(ranks.lowerBound)...\(ranks.upperBound) dimensions")
        }
        var dimensions: [Int] = []
        var count = 1
        for _ in 0..<rank {
            let extent = Int(try file.readBigEndian())
            let (next, overflow) = count.multipliedReportingOverflow(by: extent)
            guard extent >= 1, extent <= Shape.largestExtent, !overflow, next <= file.mostBytes else {
                throw RengaError(
                    .corruptData,
                    "'\(file.path)' announces dimensions \(dimensions + [extent])…, more than its bytes can hold (or 0)"
                )
            }
            dimensions.append(extent)
            count = next
        }
        // A plain file's size is known: the reads that follow tell gzip's.
        let size = count.saturatingPlus(4 + 4 * rank)
        guard file.isCompressed || size == file.mostBytes else {
            throw RengaError(
                .corruptData, "'\(file.path)' has \(file.mostBytes) bytes; its header \(dimensions) asks for \(size)")
        }
        return dimensions
    }
}
