// CIFAR.swift: the binary files of CIFAR-10 and CIFAR-100: records of one or two label bytes and 3x32x32 pixel bytes, planes R, G, B.
// Format: https://www.cs.toronto.edu/~kriz/cifar.html. The pixels stay as they are: `[N,3,32,32]`.
// Not here: the Python and Matlab versions of the sets.
import RengaNetwork

/// Readers for the binary versions of CIFAR-10 and CIFAR-100.
public enum CIFAR {
    /// Which labels a file has, and which are wanted.
    public enum Variant: Sendable {
        /// CIFAR-10: one label byte, 10 classes.
        case ten
        /// CIFAR-100: coarse and fine label; the fine one of 100.
        case hundredFine
        /// CIFAR-100: coarse and fine label; the coarse one of 20.
        case hundredCoarse

        var classes: Int {
            switch self {
            case .ten: 10
            case .hundredFine: 100
            case .hundredCoarse: 20
            }
        }
        var labelBytes: Int { self == .ten ? 1 : 2 }
        var labelOffset: Int { self == .hundredFine ? 1 : 0 }
    }

    private static let pixels = 3 * 32 * 32

    /// Reads `paths` in their order into one set `[N,3,32,32]`.
    /// Errors: fileError; corruptData (a size that is not whole records, a label out of range); outOfMemory.
    public static func dataset(
        _ paths: [String], _ variant: Variant, classNames: [String] = []
    ) throws(RengaError) -> Dataset {
        guard !paths.isEmpty else { throw RengaError(.invalidArgument, "no CIFAR file was named") }
        let record = variant.labelBytes + pixels
        var files: [(file: ContentFile, records: Int)] = []
        var total = 0
        for path in paths {
            let file = try ContentFile(path: path)
            guard !file.isCompressed, file.mostBytes > 0, file.mostBytes % record == 0 else {
                throw RengaError(
                    .corruptData,
                    "'\(path)' has \(file.mostBytes) bytes: not a whole number of CIFAR records of \(record) bytes")
            }
            files.append((file, file.mostBytes / record))
            total += file.mostBytes / record
        }
        let images = try ImageMemory(count: total, stride: pixels, "CIFAR images")
        let labels = try ImageMemory(count: total, stride: 4, "CIFAR labels")
        var index = 0
        for (file, records) in files {
            for _ in 0..<records {
                try readRecord(file, variant, index: index, images, labels)
                index += 1
            }
        }
        return try Dataset(
            shape: Shape(n: total, h: 32, w: 32, c: 3), element: .u8, layout: .nchw, images: images, labels: labels,
            classes: variant.classes, classNames: classNames)
    }

    private static func readRecord(
        _ file: ContentFile, _ variant: Variant, index: Int, _ images: ImageMemory, _ labels: ImageMemory
    ) throws(RengaError) {
        var head: (UInt8, UInt8) = (0, 0)
        let label = try withUnsafeMutableBytes(of: &head) { (bytes) throws(RengaError) -> UInt8 in
            try file.read(UnsafeMutableRawBufferPointer(rebasing: bytes[..<variant.labelBytes]))
            return bytes[variant.labelOffset]
        }
        guard label < variant.classes else {
            throw RengaError(
                .corruptData, "'\(file.path)' has label \(label) where only 0..<\(variant.classes) are known")
        }
        labels.withBytes { $0.storeBytes(of: Int32(label), toByteOffset: 4 * index, as: Int32.self) }
        let start = index * pixels
        try images.withBytes { (bytes) throws(RengaError) in
            try file.read(UnsafeMutableRawBufferPointer(rebasing: bytes[start..<start + pixels]))
        }
    }
}
