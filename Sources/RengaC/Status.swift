// Status.swift: how a failure of the engine crosses the border: a number that hosts switch on and a sentence in the calling thread's buffer.
// Not here: what can fail (the engine), when the border itself refuses (Arguments.swift).
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

import CRengaAPI
import CRengaKernels
import RengaNetwork

/// Runs the body of a C function: RENGA_OK, or the failure's status with its sentence stored for `renga_last_error`.
func guarded(_ body: () throws(RengaError) -> Void) -> renga_status {
    do {
        try body()
        return RENGA_OK
    } catch {
        storeMessage(error.message)
        return renga_status(rawValue: UInt32(bitPattern: error.status.rawValue))
    }
}

/// Copies the sentence into the thread's fixed buffer, cut where a character ends: no allocation of the host's is needed to read it.
private func storeMessage(_ message: String) {
    guard let buffer = rk_message_buffer() else { return }
    var message = message
    message.withUTF8 { bytes in
        var length = min(bytes.count, Int(RK_MESSAGE_BYTES) - 1)
        if length < bytes.count {
            // 10xxxxxx continues a character: step back to where one begins.
            while length > 0, bytes[length] & 0xC0 == 0x80 { length -= 1 }
        }
        for index in 0..<length { buffer[index] = CChar(bitPattern: bytes[index]) }
        buffer[length] = 0
    }
}

@c @implementation
public func renga_last_error() -> UnsafePointer<CChar>? {
    UnsafePointer(rk_message_buffer())
}

@c @implementation
public func renga_status_name(_ status: Int32) -> UnsafePointer<CChar>? {
    guard status != 0 else { return staticText("RENGA_OK") }
    return switch Status(rawValue: status) {
    case .invalidArgument: staticText("RENGA_ERROR_INVALID_ARGUMENT")
    case .shapeMismatch: staticText("RENGA_ERROR_SHAPE_MISMATCH")
    case .nullPointer: staticText("RENGA_ERROR_NULL_POINTER")
    case .outOfMemory: staticText("RENGA_ERROR_OUT_OF_MEMORY")
    case .fileError: staticText("RENGA_ERROR_FILE")
    case .corruptData: staticText("RENGA_ERROR_CORRUPT_DATA")
    case .unsupported: staticText("RENGA_ERROR_UNSUPPORTED")
    case .cancelled: staticText("RENGA_CANCELLED")
    case .busy: staticText("RENGA_ERROR_BUSY")
    case .notFinite: staticText("RENGA_ERROR_NOT_FINITE")
    case .notFound: staticText("RENGA_ERROR_NOT_FOUND")
    case .internalFault: staticText("RENGA_ERROR_INTERNAL")
    case nil: staticText("unknown status")
    }
}
