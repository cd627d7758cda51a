package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
)

const (
	maxFrameBytes    = 16 << 20
	frameHeaderBytes = 4
)

// Encode returns a message as it is sent: the length in four bytes, big-endian, then the JSON.
func Encode(message any) ([]byte, error) {
	var buffer bytes.Buffer
	buffer.Write(make([]byte, frameHeaderBytes))
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(message); err != nil {
		return nil, err
	}
	length := buffer.Len() - frameHeaderBytes
	if length > maxFrameBytes {
		return nil, fmt.Errorf("a frame of %d bytes exceeds %d bytes", length, maxFrameBytes)
	}
	frame := buffer.Bytes()
	binary.BigEndian.PutUint32(frame, uint32(length))
	return frame, nil
}

// Read returns the JSON of the next message. The error is io.EOF if the stream ended before one.
func Read(from io.Reader) ([]byte, error) {
	var header [frameHeaderBytes]byte
	if _, err := io.ReadFull(from, header[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(header[:])
	if length > maxFrameBytes {
		return nil, fmt.Errorf("a frame of %d bytes exceeds %d bytes", length, maxFrameBytes)
	}
	frame := make([]byte, length)
	_, err := io.ReadFull(from, frame)
	return frame, err
}

// Encode returns the answer as it is sent, in one allocation of the right size: its data may be large.
func (r ReadAnswer) Encode() []byte {
	head := fmt.Sprintf(`{"type":"read","seq":%s,"data":"`, strconv.FormatFloat(r.Seq, 'f', -1, 64))
	foot := fmt.Sprintf(`","next":%d,"end":%t%s}`, r.Next, r.End, r.errorField())
	length := len(head) + base64.StdEncoding.EncodedLen(len(r.Data)) + len(foot)
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, frameHeaderBytes+length), uint32(length))
	frame = append(frame, head...)
	return append(base64.StdEncoding.AppendEncode(frame, r.Data), foot...)
}

func (r ReadAnswer) errorField() string {
	if r.Error == "" {
		return ""
	}
	text, err := json.Marshal(r.Error)
	if err != nil {
		panic(err)
	}
	return `,"error":` + string(text)
}
